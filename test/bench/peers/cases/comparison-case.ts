import type { Values } from '../../cases/bench-case.ts';
import type { Arena, Used } from '../arena.ts';
import type { Needs } from '../systems/system.ts';

/** One row of the table. */
export interface Row {
  /** The name of the value. */
  readonly value: string;
  readonly text: string;
  readonly unit: string;
  /** Which figure is the better one. If absent, it says nothing about the system. */
  readonly better?: 'higher' | 'lower';
}

/** A case that is the same for every system. */
export interface ComparisonCase {
  /** For `--case`. */
  readonly name: string;
  readonly title: string;
  readonly method: string;
  readonly rows: readonly Row[];
  /** The highest number of client sockets in one process. */
  readonly sockets: number;
  readonly needs: Needs;
  /** Where one run is enough, because runs differ little. */
  readonly once?: boolean;
  /** @throws Unverified when what arrived was not what had been published */
  run(arena: Arena, options: { readonly quick: boolean }): Promise<Values>;
}

/** Bytes of every event of every case. */
export const EVENT_BYTES = 300;

/** What is told of each measurement beside its figures. */
export function circumstances(used: Used): Values {
  const parts = Object.entries(used.parts).map(([name, seconds]) => [`${name}Seconds`, seconds]);
  return {
    servingSeconds: used.serving,
    ...Object.fromEntries(parts),
    wallSeconds: used.wallSeconds,
    loadCores: used.loadCores,
    publisherCores: used.publisherCores,
    otherCores: used.otherCores,
    loadAverage: used.loadAverage,
  };
}
