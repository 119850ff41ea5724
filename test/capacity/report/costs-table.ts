import { type CostFile, type Costs, costOf, type SizedCost } from '../costs.ts';
import { LARGE_BYTES, SMALL_BYTES } from '../scale.ts';
import { formatBytes, formatNumber, formatRows } from './figures.ts';

/** The costs of a run as Markdown. */
export function formatCosts({ date, machine, versions, costs }: CostFile): string {
  const head = [
    `${date.slice(0, 10)}: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB`,
    `${machine.system}, Node ${versions.node}, nats-server ${versions['nats-server']}`,
  ];
  return `${head.join(', ')}\n\n${connectionTable(costs)}\n\n${eventTable(costs)}\n\n${otherTable(costs)}`;
}

function connectionTable({ websocket, sse }: Costs): string {
  const row = (name: string, of: (cost: Costs['sse']) => string) => [name, of(websocket), of(sse)];
  return formatRows([
    ['a connection', 'WebSocket', 'SSE'],
    row('idle, memory of the gateway', (cost) => formatBytes(cost.residentBytes)),
    row('idle, memory of the kernel, one end', (cost) => formatBytes(cost.kernelBytes)),
    row('handshake and subscription', (cost) => micros(cost.openUs)),
    row('heartbeat', (cost) => micros(cost.heartbeatUs)),
    row(`write of one event of ${SMALL_BYTES} bytes`, ({ write }) =>
      micros(costOf(write, SMALL_BYTES)),
    ),
    row(`write of one event of ${LARGE_BYTES} bytes`, ({ write }) =>
      micros(costOf(write, LARGE_BYTES)),
    ),
    row(`${SMALL_BYTES} bytes at saturation`, (cost) => micros(cost.batchedUs)),
  ]);
}

function eventTable({ gateway, ingest, nats, replay, stored }: Costs): string {
  const row = (name: string, cost: SizedCost, format = micros) => [
    name,
    format(costOf(cost, SMALL_BYTES)),
    format(costOf(cost, LARGE_BYTES)),
  ];
  return formatRows([
    ['an event', `${SMALL_BYTES} bytes`, `${LARGE_BYTES} bytes`],
    row('ingest: append, a request each', ingest.append),
    row('ingest: append, in a batch of 100', ingest.batchAppend),
    row('gateway: append from a WebSocket client', gateway.append),
    row('nats-server: append, a request each', nats.append),
    row('nats-server: append, in a batch of 100', nats.batchAppend),
    row('nats-server: to one gateway or replay service', nats.feed),
    row('gateway: receive, each event at each gateway', gateway.receive),
    row('gateway: an event with readers, once', gateway.fanOut),
    row('replay: into the archive', replay.project),
    row('gateway: catch-up of everything', gateway.wideCatchUp),
    row('replay: catch-up of everything', replay.wideCatchUp),
    row('disk of one NATS server', stored.stream, formatBytes),
    row('disk of one archive', stored.archive, formatBytes),
  ]);
}

function otherTable({ gateway, nats, replay, stalledKernelBytes }: Costs): string {
  return formatRows([
    ['other', ''],
    ['gateway: catch-up of few topics each, an event', micros(gateway.narrowCatchUpUs)],
    ['replay: catch-up of few topics each, an event', micros(replay.narrowCatchUpUs)],
    ['nats-server: memory of a topic', formatBytes(nats.topicBytes)],
    ['nats-server: memory of a message id', formatBytes(nats.messageIdBytes)],
    ['gateway: memory of a topic with events in the tail', formatBytes(gateway.topicBytes)],
    ['kernel: a connection whose client does not read', formatBytes(stalledKernelBytes)],
    ['one stream: appends a second, at least', formatNumber(nats.appendsPerSecond)],
    ['gateway: memory without connections and tail', formatBytes(gateway.residentBytes)],
  ]);
}

function micros(us: number): string {
  return `${formatNumber(us)} µs`;
}
