import { Empty } from '../../ui/states.tsx';

export default function StreamsPage() {
  return <Empty title="Streams and NATS is not there yet." />;
}
