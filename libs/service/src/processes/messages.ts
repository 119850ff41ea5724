/*
 * What the processes of a service on one host and their parent tell each other, over the channel that Node opens
 * between them.
 */

/** So much more, or less, under the name of a limit and a key. */
export type Change = readonly [limit: string, key: string, count: number];

/** What one process counted since its last message. */
export interface Counted {
  /** What is held until it is given back. */
  readonly held: readonly Change[];
  /** What was used of rates. */
  readonly used: readonly Change[];
}

/** What a process tells its parent. */
export type ToParent =
  /** It listens. */
  | { readonly is: 'started' }
  | { readonly is: 'ready'; readonly ready: boolean }
  | ({ readonly is: 'counted' } & Counted)
  /** It needs the metrics of all others. */
  | { readonly is: 'collect'; readonly id: number }
  /** Its own metrics, for a `collect`. */
  | { readonly is: 'metrics'; readonly id: number; readonly text: string };

/** What a parent tells a process. */
export type ToProcess =
  /** What the others counted. */
  | ({ readonly is: 'counted' } & Counted)
  /** Whether all others that should serve are ready. */
  | { readonly is: 'others'; readonly ready: boolean }
  /** The parent needs the metrics of the process. */
  | { readonly is: 'collect'; readonly id: number }
  /** The metrics of the others and of the parent, for the `collect` of the process. */
  | { readonly is: 'collected'; readonly id: number; readonly texts: readonly string[] };

/** How long the metrics of the others are waited for; those of a process that hangs are left out. */
export const COLLECT_MS = 1000;

/** How many processes there are, and which of them one is. */
export interface Place {
  /** From 1. */
  readonly number: number;
  readonly count: number;
  /** Whether another process had the place before. */
  readonly successor: boolean;
}

/** The variable that tells a process its place; `TIDEMARK_` would make it a setting. */
const PLACE_VARIABLE = 'SERVICE_PROCESS';

/** The variables that tell a process its place. */
export function placeVariables(place: Place): Record<string, string> {
  return { [PLACE_VARIABLE]: JSON.stringify(place) };
}

/** The place that the parent gave this process. */
export function readPlace(environment: NodeJS.ProcessEnv): Place {
  return JSON.parse(environment[PLACE_VARIABLE] ?? '') as Place;
}
