import type { Stream } from '../../api/types.ts';
import { count, duration } from '../../ui/format.ts';
import { Panel } from '../../ui/panel.tsx';
import { Table } from '../../ui/table.tsx';
import { Time } from '../../ui/time.tsx';
import { SizeLimit } from './limits.tsx';
import { ReplicaSummary } from './replicas.tsx';

/** The streams beside that of the events, such as those behind the buckets: a row each. */
export function BucketPanel({ streams }: { streams: readonly Stream[] }) {
  if (streams.length === 0) return null;
  return (
    <Panel title="Buckets" flush actions={<span class="quiet">{streams.length}</span>}>
      <Table
        caption="Buckets"
        rows={streams}
        keyOf={({ name }) => name}
        columns={[
          { name: 'Stream', head: true, show: ({ name }) => name },
          { name: 'Storage', show: ({ storage }) => storage },
          { name: 'Messages', number: true, show: ({ messages }) => count(messages) },
          { name: 'Size', show: (stream) => <SizeLimit stream={stream} /> },
          { name: 'Newest', show: ({ lastTime }) => (lastTime ? <Time of={lastTime} /> : '–') },
          { name: 'Forgets after', show: ({ limits }) => ageText(limits.ageSeconds) },
          { name: 'Leader, replicas', show: (stream) => <ReplicaSummary stream={stream} /> },
        ]}
      />
    </Panel>
  );
}

function ageText(seconds: number | null): string {
  return seconds === null || seconds === 0 ? 'never' : duration(seconds * 1000);
}
