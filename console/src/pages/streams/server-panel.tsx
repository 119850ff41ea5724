import type { Stream } from '../../api/types.ts';
import { Badge } from '../../ui/badge.tsx';
import { count } from '../../ui/format.ts';
import { Panel } from '../../ui/panel.tsx';
import { Table } from '../../ui/table.tsx';
import { type Server, serversOf } from './servers.ts';

/** The servers of a cluster; nothing for a server alone, which has all. */
export function ServerPanel({ streams }: { streams: readonly Stream[] }) {
  const servers = serversOf(streams);
  if (servers.length < 2) return null;
  return (
    <Panel title="Servers" flush actions={<span class="quiet">{servers.length}</span>}>
      <Table
        caption="Servers"
        rows={servers}
        keyOf={({ name }) => name}
        columns={[
          { name: 'Server', head: true, show: ({ name }) => name },
          { name: 'State', show: (one) => <State server={one} /> },
          { name: 'Leads', number: true, show: ({ leads }) => count(leads) },
          { name: 'Replicas', number: true, show: ({ replicas }) => count(replicas) },
          { name: 'Most operations behind', number: true, show: ({ lag }) => count(lag) },
        ]}
      />
    </Panel>
  );
}

function State({ server: { offline, lag } }: { server: Server }) {
  if (offline) return <Badge kind="bad">offline</Badge>;
  return lag > 0 ? <Badge kind="warning">behind</Badge> : <Badge kind="good">current</Badge>;
}
