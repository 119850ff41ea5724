import { Empty } from '../../ui/states.tsx';

export default function InboxPage() {
  return <Empty title="Inbox is not there yet." />;
}
