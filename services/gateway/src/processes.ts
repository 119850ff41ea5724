import { availableParallelism } from 'node:os';
import type { GatewayConfiguration } from '@tidemark/config';

/** What bounds memory and work of which no client has a share of its own, with the least that a process needs. */
const DIVIDED = {
  tailBytesMax: 64 * 1024,
  tailEventsMax: 1,
  coldReadsMax: 1,
  lastBytesMax: 1024 * 1024,
} as const;

/** How many processes the gateway runs as. `auto` knows the limits of a container. */
export function processCount({ processes }: Pick<GatewayConfiguration, 'processes'>): number {
  return processes === 'auto' ? availableParallelism() : Number(processes);
}

/** The part of a limit that one of some processes has: all of them together have no less than the limit. */
export function partOf(limit: number, processes: number): number {
  return Math.ceil(limit / processes);
}

/**
 * The configuration of one of some processes. Memory and work of the whole gateway are divided among them. What limits
 * connections, addresses and users stays: the processes tell each other what they count.
 */
export function configurationOfOne(
  configuration: GatewayConfiguration,
  processes: number,
): GatewayConfiguration {
  if (processes === 1) return configuration;
  const parts = Object.entries(DIVIDED).map(([name, least]) => {
    const limit = configuration[name as keyof typeof DIVIDED];
    return [name, Math.max(least, partOf(limit, processes))];
  });
  return { ...configuration, ...Object.fromEntries(parts) };
}
