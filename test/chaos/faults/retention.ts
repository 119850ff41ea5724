import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { STREAM_NAME } from '@tidemark/nats';
import type { Nats } from '../world/nats.ts';

/** What the stream keeps: the events of a second or two. */
const KEPT_BYTES = 16 * 1024;

const TRIES = 40;
const TRY_EVERY_MS = 250;

/** Makes the stream small for a time, as an operator may. A service that starts meanwhile makes it large again. */
export async function shrinkStream(nats: Nats, lastsMs: number): Promise<void> {
  const manager = await jetstreamManager(nats.connection, { checkAPI: false });
  const before = await manager.streams.info(STREAM_NAME).catch(() => undefined);
  if (!before) return;
  const resize = (maxBytes: number) =>
    manager.streams.update(STREAM_NAME, { max_bytes: maxBytes }).then(
      () => true,
      () => false,
    );
  await resize(KEPT_BYTES);
  await sleep(lastsMs);
  for (let tries = 0; tries < TRIES; tries++) {
    if (await resize(before.config.max_bytes)) return;
    await sleep(TRY_EVERY_MS);
  }
}
