import { Empty } from '../../ui/states.tsx';

export default function ConnectionsPage() {
  return <Empty title="Connections is not there yet." />;
}
