import { signal } from '@preact/signals';
import { eventStream } from './event-stream.ts';
import { end } from './session.ts';
import type { Stats } from './types.ts';

/** Whether figures come, and since when they do not. Times are milliseconds since 1970. */
export type FeedState =
  | { readonly state: 'opening' }
  | { readonly state: 'live' }
  | { readonly state: 'cut'; readonly since: number; readonly error: unknown };

/** A second of the past, in the clock of this machine. */
export interface Sample {
  readonly at: number;
  readonly stats: Stats;
}

/** Ten minutes, at one a second. */
export const SAMPLES_MAX = 600;
export const HISTORY_MS = SAMPLES_MAX * 1000;

const FIRST_WAIT_MS = 500;
const MOST_WAIT_MS = 10_000;
/** They come each second; a network may also stop without a word. */
const SILENCE_MS = 6_000;

/** The newest figures; `undefined` before the first. */
export const stats = signal<Stats | undefined>(undefined);
export const feedState = signal<FeedState>({ state: 'opening' });

let samples: Sample[] = [];

/** The last ten minutes, oldest first. It is a new one whenever `stats` is. */
export function history(): readonly Sample[] {
  return samples;
}

/**
 * Follows `GET /v1/admin/stats` while the page is visible, and comes back when it is cut. One for the whole console.
 *
 * @returns what ends it, and forgets the figures
 */
export function followStats(): () => void {
  const ending = new AbortController();
  let reading: AbortController | undefined;
  const start = () => {
    reading?.abort();
    if (document.hidden) return;
    reading = new AbortController();
    follow(AbortSignal.any([reading.signal, ending.signal]));
  };
  document.addEventListener('visibilitychange', start, { signal: ending.signal });
  start();
  return () => {
    ending.abort();
    samples = [];
    stats.value = undefined;
    feedState.value = { state: 'opening' };
  };
}

async function follow(signal: AbortSignal): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    const before = stats.peek();
    const error = await readOnce(signal).catch((thrown: unknown) => thrown);
    if (signal.aborted) return;
    if (stats.peek() !== before) attempt = 0;
    if (feedState.peek().state !== 'cut') {
      const since = samples.at(-1)?.at ?? Date.now();
      feedState.value = { state: 'cut', since, error };
    }
    await pause(waitMs(attempt), signal);
  }
}

/** Full jitter: many pages that were cut at once come back spread over the whole time. */
function waitMs(attempt: number): number {
  return Math.random() * Math.min(MOST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt, 10));
}

/** Until the connection ends; silence ends it too. */
async function readOnce(signal: AbortSignal): Promise<Error> {
  const silence = new AbortController();
  const tooLong = () => silence.abort(new Error('There was no answer in time.'));
  let timer = setTimeout(tooLong, SILENCE_MS);
  try {
    const options = { signal: AbortSignal.any([signal, silence.signal]) };
    for await (const { event, data } of eventStream('/v1/admin/stats', options)) {
      clearTimeout(timer);
      timer = setTimeout(tooLong, SILENCE_MS);
      if (event === 'stats') take(JSON.parse(data) as Stats);
      // The only error of this stream is that the token is no longer good (PROTOCOL 13.6).
      else if (event === 'error') end((JSON.parse(data) as { message: string }).message);
    }
  } finally {
    clearTimeout(timer);
  }
  return new Error('The gateway has ended the connection.');
}

function take(found: Stats): void {
  samples = [...samples.slice(1 - SAMPLES_MAX), { at: Date.now(), stats: found }];
  feedState.value = { state: 'live' };
  stats.value = found;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
