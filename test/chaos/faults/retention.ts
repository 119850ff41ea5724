import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { STREAM_NAME } from '@tidemark/nats';
import Database from 'better-sqlite3';
import type { Nats } from '../world/nats.ts';

/** What the stream keeps: the events of a second or two. */
const KEPT_BYTES = 16 * 1024;

const NOTE_EVERY_MS = 500;
const TRIES = 40;
const TRY_EVERY_MS = 250;

/** What retention removed, as was seen while it happened. */
export interface Removed {
  /** The stream had nothing before this sequence. */
  readonly streamFirst: number;
  /** What the stream had no more, and no archive had. */
  readonly gone: ReadonlySet<number>;
}

/**
 * Makes the stream small for a time, as an operator may. A service that starts meanwhile makes it large again.
 *
 * A server that is killed afterwards brings back what was removed since it last wrote its state. Nobody can
 * rely on that, so what is removed is noted at once.
 *
 * @param archives the files of all archives
 */
export async function shrinkStream(
  nats: Nats,
  archives: readonly string[],
  lastsMs: number,
): Promise<Removed> {
  const manager = await jetstreamManager(nats.connection, { checkAPI: false });
  const look = () => manager.streams.info(STREAM_NAME).catch(() => undefined);
  const resize = (maxBytes: number) =>
    manager.streams.update(STREAM_NAME, { max_bytes: maxBytes }).then(
      () => true,
      () => false,
    );
  let streamFirst = 0;
  const gone = new Set<number>();
  const note = async () => {
    streamFirst = Math.max(streamFirst, (await look())?.state.first_seq ?? 0);
    for (const sequence of missingBefore(streamFirst, archives)) gone.add(sequence);
  };
  const before = await look();
  if (!before) return { streamFirst, gone };
  const endMs = performance.now() + lastsMs;
  await resize(KEPT_BYTES);
  while (performance.now() < endMs) {
    await sleep(NOTE_EVERY_MS);
    await note();
  }
  for (let tries = 0; tries < TRIES && !(await resize(before.config.max_bytes)); tries++) {
    await sleep(TRY_EVERY_MS);
  }
  await note();
  return { streamFirst, gone };
}

/** The sequences before another one that no archive has; none where an archive cannot be read. */
function missingBefore(end: number, archives: readonly string[]): number[] {
  const held = new Set<number>();
  try {
    for (const file of archives) {
      const database = new Database(file, { readonly: true });
      try {
        const rows = database.prepare('SELECT sequence FROM events WHERE sequence < ?').pluck();
        for (const sequence of rows.iterate(end)) held.add(sequence as number);
      } finally {
        database.close();
      }
    }
  } catch {
    return [];
  }
  return Array.from({ length: Math.max(0, end - 1) }, (_, index) => index + 1).filter(
    (sequence) => !held.has(sequence),
  );
}
