import { Empty } from '../../ui/states.tsx';

export default function ReplayPage() {
  return <Empty title="Replay and archive is not there yet." />;
}
