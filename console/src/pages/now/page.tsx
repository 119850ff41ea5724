import { Empty } from '../../ui/states.tsx';

export default function NowPage() {
  return <Empty title="Now is not there yet." />;
}
