import { Empty } from '../../ui/states.tsx';

export default function EventPage() {
  return <Empty title="One event is not there yet." />;
}
