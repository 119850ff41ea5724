import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { STREAM_NAME } from '@tidemark/nats';
import type { Nats } from '../world/nats.ts';

/** What the stream keeps: the events of a second or two. */
const KEPT_BYTES = 16 * 1024;

const TRIES = 40;
const TRY_EVERY_MS = 250;

/**
 * Makes the stream small for a time, as an operator may. A service that starts meanwhile makes it large again.
 *
 * @returns the highest first sequence that the stream had: a server that is killed brings back what was
 *   removed a moment ago, and nobody can rely on that
 */
export async function shrinkStream(nats: Nats, lastsMs: number): Promise<number> {
  const manager = await jetstreamManager(nats.connection, { checkAPI: false });
  const look = () => manager.streams.info(STREAM_NAME).catch(() => undefined);
  const before = await look();
  if (!before) return 0;
  const resize = (maxBytes: number) =>
    manager.streams.update(STREAM_NAME, { max_bytes: maxBytes }).then(
      () => true,
      () => false,
    );
  let firstSequence = 0;
  const note = async () => {
    firstSequence = Math.max(firstSequence, (await look())?.state.first_seq ?? 0);
  };
  const endMs = performance.now() + lastsMs;
  await resize(KEPT_BYTES);
  while (performance.now() < endMs) {
    await sleep(TRY_EVERY_MS);
    await note();
  }
  for (let tries = 0; tries < TRIES && !(await resize(before.config.max_bytes)); tries++) {
    await sleep(TRY_EVERY_MS);
  }
  await note();
  return firstSequence;
}
