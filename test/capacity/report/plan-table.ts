import type { Demand } from '../plan/demand.ts';
import type { Bound, Plan } from '../plan/plan.ts';
import { formatBytes, formatNumber, formatRows } from './figures.ts';

/**
 * What a demand takes, as Markdown.
 *
 * @param growth how many times as much one stream takes
 */
export function formatPlan(demand: Demand, plan: Plan, growth: number | undefined): string {
  const { connections, eventsPerSecond, size, fanOut, cores, memoryGib, streamDays } = demand;
  const [gatewayBound] = plan.gatewayBounds;
  const [machineBound] = plan.machineBounds;
  const processes = plan.parts.map((part) => [
    part.name,
    String(part.processes),
    `${formatNumber(100 * part.cores)} %`,
    formatBytes(part.memoryBytes),
  ]);
  const archiveBytes = plan.archiveBytesADay * demand.archiveDays;
  return [
    `${formatNumber(connections)} connections, ${formatNumber(eventsPerSecond)} events/s of ${size} bytes, each to ${formatNumber(fanOut)} of them: ${formatNumber(eventsPerSecond * fanOut)} deliveries/s`,
    formatRows([['process', 'number', 'of a core, each', 'memory, each'], ...processes]),
    formatRows([
      ['all together', ''],
      [`machines of ${cores} cores, ${memoryGib} GiB`, `${plan.machines}${spare(plan)}`],
      ['kernel memory for connections', formatBytes(plan.kernelBytes)],
      ['network to clients', `${formatNumber(plan.deliveryBits / 1e6)} Mbit/s`],
      ['disk a day: NATS', formatBytes(plan.streamBytesADay)],
      ['disk a day: archives', formatBytes(plan.archiveBytesADay)],
      [`disk for ${streamDays} days: NATS`, formatBytes(plan.streamBytesADay * streamDays)],
      [`disk for ${demand.archiveDays} days: archives`, formatBytes(archiveBytes)],
      ['all connections back after a loss of all', `${formatNumber(plan.returnSeconds)} s`],
    ]),
    `The gateways' number is decided by ${tell(gatewayBound)}, that of the machines by ${tell(machineBound)}.`,
    formatEnd(plan.streamBounds),
    growth === undefined
      ? ''
      : `With as many gateways as that needs, one stream takes ${formatNumber(growth)} times this load.`,
  ]
    .filter(Boolean)
    .join('\n\n');
}

/** How far one stream is used. */
export function formatEnd(bounds: readonly Bound[]): string {
  const rows = bounds.map(({ name, used }) => [name, `${formatNumber(100 * used)} %`]);
  const end = bounds.some(({ used }) => used > 1)
    ? '\n\nThis is more than one stream takes: divide the topics among several deployments.'
    : '';
  return `${formatRows([['what no further machine helps against', 'used'], ...rows])}${end}`;
}

function tell(bound: Bound | undefined): string {
  return bound === undefined ? 'nothing' : `${bound.name} (${formatNumber(100 * bound.used)} %)`;
}

/** The loss of one machine has to be carried by the others. */
function spare({ machines }: Plan): string {
  return machines > 1 ? ' and a spare one' : '';
}
