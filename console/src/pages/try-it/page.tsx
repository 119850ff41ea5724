import { Empty } from '../../ui/states.tsx';

export default function TryItPage() {
  return <Empty title="Try it is not there yet." />;
}
