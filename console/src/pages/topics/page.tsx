import { Empty } from '../../ui/states.tsx';

export default function TopicsPage() {
  return <Empty title="Topics is not there yet." />;
}
