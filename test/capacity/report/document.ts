import type { CostFile, Costs } from '../costs.ts';
import { type Demand, readDemand } from '../plan/demand.ts';
import { largestFor, type Plan, planFor } from '../plan/plan.ts';
import { formatCosts } from './costs-table.ts';
import { formatBytes, formatNumber, formatRows } from './figures.ts';

/** The demands of infra/CAPACITY.md: a reader for each event, and many. */
const OWN_TOPICS = {
  connections: 1_000_000,
  'events-per-second': 16_667,
  topics: 1_000_000,
};
const SHARED_TOPICS = { connections: 1_000_000, 'events-per-second': 1000, 'fan-out': 1000 };
const SEVERAL = { replicas: 3, replays: 2 };

/** @returns infra/CAPACITY.md with the tables of these costs */
export function withCosts(document: string, file: CostFile): string {
  return replacePart(replacePart(document, 'costs', formatCosts(file)), 'plans', formatPlans(file));
}

function replacePart(document: string, name: string, text: string): string {
  const [start, end] = [`<!-- ${name} -->\n`, `\n<!-- end of ${name} -->`];
  const [before, rest] = document.split(start);
  const after = rest?.split(end)[1];
  if (after === undefined) throw new Error(`The document has no part ${name}.`);
  return `${before}${start}${text}${end}${after}`;
}

function formatPlans({ costs }: CostFile): string {
  const rows = [
    rowFor('one machine, own topics', largest(costs, OWN_TOPICS, 1), costs),
    rowFor('one machine, shared topics', largest(costs, SHARED_TOPICS, 1), costs),
    rowFor('ten, own topics', largest(costs, { ...OWN_TOPICS, ...SEVERAL }, 10), costs),
    rowFor('ten, shared topics', largest(costs, { ...SHARED_TOPICS, ...SEVERAL }, 10), costs),
    rowFor('a million, own topics', readDemand({ ...OWN_TOPICS, ...SEVERAL }), costs),
    rowFor('a million, shared topics', readDemand({ ...SHARED_TOPICS, ...SEVERAL }), costs),
  ];
  const headings = ['case', 'connections', 'events/s', 'machines', 'gateways', 'ingest'];
  const more = ['kernel', 'to clients', 'disk a day: NATS', 'archives', 'all back', 'decided by'];
  return formatRows([[...headings, ...more], ...rows]);
}

function largest(costs: Costs, values: Readonly<Record<string, number>>, machines: number): Demand {
  const demand = largestFor(readDemand(values), costs, machines);
  if (demand === undefined) throw new Error(`Nothing fits on ${machines} machines.`);
  return demand;
}

function rowFor(name: string, demand: Demand, costs: Costs): string[] {
  const plan = planFor(demand, costs);
  if (plan === undefined) throw new Error(`One stream does not carry "${name}".`);
  const [gateway, ingest] = plan.parts;
  return [
    name,
    formatNumber(demand.connections),
    formatNumber(demand.eventsPerSecond),
    plan.machines > 1 ? `${plan.machines} + 1` : '1',
    `${gateway?.processes} of ${formatBytes(gateway?.memoryBytes ?? 0)}`,
    String(ingest?.processes),
    formatBytes(plan.kernelBytes),
    `${formatNumber(plan.deliveryBits / 1e6)} Mbit/s`,
    formatBytes(plan.streamBytesADay),
    formatBytes(plan.archiveBytesADay),
    `${formatNumber(plan.returnSeconds)} s`,
    decisionOf(plan),
  ];
}

/** What is used up first: the stream where it is nearly full, else what decides the gateways' number. */
function decisionOf({ gatewayBounds, machineBounds, streamBounds }: Plan): string {
  const [gateway, machine, stream] = [gatewayBounds[0], machineBounds[0], streamBounds[0]];
  if ((stream?.used ?? 0) > 0.9) return `the stream: ${stream?.name}`;
  return `gateways: ${gateway?.name}; machines: ${machine?.name}`;
}
