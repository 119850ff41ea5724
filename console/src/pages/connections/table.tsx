import type { Connection } from '../../api/types.ts';
import { bytes } from '../../ui/format.ts';
import { type Column, Table } from '../../ui/table.tsx';
import { Time } from '../../ui/time.tsx';
import { Behind, SlowBadge, TransportName } from './parts.tsx';

interface ConnectionTableProps {
  readonly rows: readonly Connection[];
  readonly show: (one: Connection) => void;
}

export function ConnectionTable({ rows, show }: ConnectionTableProps) {
  const columns: readonly Column<Connection>[] = [
    {
      name: 'User',
      head: true,
      show: (one) => (
        <button type="button" class="link" onClick={() => show(one)}>
          {one.sub}
        </button>
      ),
    },
    { name: 'Transport', show: ({ transport }) => <TransportName of={transport} /> },
    { name: 'Gateway', show: ({ gateway }) => <span class="nowrap">{gateway}</span> },
    { name: 'Connected', show: ({ connectedAt }) => <Time of={connectedAt} /> },
    { name: 'Subscriptions', show: (one) => <Topics one={one} /> },
    { name: 'Events behind', number: true, show: ({ behind }) => <Behind events={behind} /> },
    { name: 'Unsent', number: true, show: ({ unsentBytes }) => bytes(unsentBytes) },
    { name: 'Slow', show: ({ slow }) => <SlowBadge slow={slow} /> },
  ];
  return (
    <Table
      caption="Connections"
      columns={columns}
      rows={rows}
      keyOf={({ gateway, connection }) => `${gateway} ${connection}`}
    />
  );
}

/** The first pattern, and how many more there are. */
function Topics({ one: { subscriptions, subscriptionsLeftOut = 0 } }: { one: Connection }) {
  const topics = subscriptions.flatMap((subscription) => subscription.topics);
  const [first] = topics;
  if (first === undefined) return <span class="quiet">none</span>;
  const more = topics.length - 1;
  const extra = more > 0 || subscriptionsLeftOut > 0;
  return (
    <span class="topic-cell" title={topics.join('\n')}>
      <code>{first}</code>
      {extra && <span class="quiet">+{subscriptionsLeftOut > 0 ? `${more} …` : more}</span>}
    </span>
  );
}
