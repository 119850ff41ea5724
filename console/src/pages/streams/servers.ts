import type { Stream } from '../../api/types.ts';

/** A nats-server, as the streams see it. */
export interface Server {
  readonly name: string;
  /** How many streams it leads, and how many have a replica there. */
  readonly leads: number;
  readonly replicas: number;
  readonly offline: boolean;
  /** The most operations that one of its replicas is behind. */
  readonly lag: number;
}

/** The servers that hold replicas, by name. */
export function serversOf(streams: readonly Stream[]): readonly Server[] {
  const found = new Map<string, Server>();
  for (const replica of streams.flatMap(({ replicas }) => replicas)) {
    const { name } = replica;
    const before = found.get(name) ?? { name, leads: 0, replicas: 0, offline: false, lag: 0 };
    found.set(name, {
      name,
      leads: before.leads + (replica.leader ? 1 : 0),
      replicas: before.replicas + 1,
      offline: before.offline || replica.offline,
      lag: Math.max(before.lag, replica.current ? 0 : replica.lag),
    });
  }
  return [...found.values()].sort((a, b) => a.name.localeCompare(b.name));
}
