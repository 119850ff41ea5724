import type {
  GatewayStats,
  IngestStats,
  Percentiles,
  ReplayStats,
  ServiceStats,
} from '../../api/types.ts';
import { Badge } from '../../ui/badge.tsx';
import { ago, bytes, count, duration, fullTime, short } from '../../ui/format.ts';
import { Panel } from '../../ui/panel.tsx';
import { href } from '../../ui/route.ts';
import { ServiceState } from '../../ui/service-state.tsx';
import { Empty } from '../../ui/states.tsx';
import { type Column, Table } from '../../ui/table.tsx';

export function GatewayTable({ rows }: { rows: readonly GatewayStats[] }) {
  return (
    <ServicePanel
      title="Gateways"
      rows={rows}
      columns={[
        { name: 'WebSocket', number: true, show: (one) => count(one.connections.websocket) },
        { name: 'SSE', number: true, show: (one) => count(one.connections.sse) },
        { name: 'Subscriptions', number: true, show: (one) => count(one.subscriptions) },
        { name: 'In per s', number: true, show: (one) => short(one.eventsInPerSecond) },
        { name: 'Out per s', number: true, show: (one) => short(one.eventsOutPerSecond) },
        { name: 'Delay p50 / p99', number: true, show: (one) => percentiles(one.deliveryMs) },
        { name: 'Catch-ups', number: true, show: (one) => count(one.catchUps) },
        { name: 'Slow', number: true, show: (one) => <SlowLink gateway={one} /> },
      ]}
    />
  );
}

export function IngestTable({ rows }: { rows: readonly IngestStats[] }) {
  return (
    <ServicePanel
      title="Ingest"
      rows={rows}
      columns={[
        { name: 'Stream', show: ({ store }) => <StoreBadge store={store} /> },
        { name: 'Events per s', number: true, show: (one) => short(one.eventsPerSecond) },
        { name: 'Repeats per s', number: true, show: (one) => short(one.duplicatesPerSecond) },
        { name: 'Refused per s', number: true, show: (one) => short(one.refusedPerSecond) },
        { name: 'Append p50 / p99', number: true, show: (one) => percentiles(one.appendMs) },
      ]}
    />
  );
}

export function ReplayTable({ rows }: { rows: readonly ReplayStats[] }) {
  return (
    <ServicePanel
      title="Replay"
      rows={rows}
      columns={[
        { name: 'Events behind', number: true, show: (one) => count(one.behind) },
        { name: 'Events', number: true, show: (one) => count(one.events) },
        { name: 'File', number: true, show: (one) => bytes(one.bytes) },
        { name: 'Requests per s', number: true, show: (one) => short(one.requestsPerSecond) },
      ]}
    />
  );
}

interface ServicePanelProps<Row> {
  readonly title: string;
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
}

function ServicePanel<Row extends ServiceStats>({ title, rows, columns }: ServicePanelProps<Row>) {
  const all: readonly Column<Row>[] = [
    { name: 'Instance', head: true, show: ({ instance }) => instance },
    { name: 'State', show: (one) => <State one={one} /> },
    ...columns,
    { name: 'Memory', number: true, show: ({ memoryBytes }) => bytes(memoryBytes) },
    { name: 'Started', number: true, show: (one) => <Started one={one} /> },
  ];
  return (
    <Panel title={title} flush actions={<span class="quiet">{rows.length}</span>}>
      {rows.length === 0 ? (
        <Empty title="None has announced itself." />
      ) : (
        <Table caption={title} columns={all} rows={rows} keyOf={({ instance }) => instance} />
      )}
    </Panel>
  );
}

function State({ one }: { one: ServiceStats }) {
  return (
    <ServiceState of={one}>
      <Badge kind="good">ready</Badge>
    </ServiceState>
  );
}

function Started({ one: { startedAt, version } }: { one: ServiceStats }) {
  return <span title={`${fullTime(startedAt)}, version ${version}`}>{ago(startedAt)}</span>;
}

function StoreBadge({ store }: { store: IngestStats['store'] }) {
  return store === 'ok' ? <Badge kind="good">stores</Badge> : <Badge kind="bad">{store}</Badge>;
}

function SlowLink({ gateway: { slow, instance } }: { gateway: GatewayStats }) {
  if (slow === 0) return <>0</>;
  return <a href={href('connections', { gateway: instance, slow: 'true' })}>{count(slow)}</a>;
}

function percentiles(found: Percentiles): string {
  return found ? `${duration(found.p50)} / ${duration(found.p99)}` : '–';
}
