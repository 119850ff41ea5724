import type { Socket } from 'node:net';
import type { Start } from '@tidemark/protocol';
import type { Gateway } from './gateway.ts';

/*
 * What users ask for counts as bytes of messages, besides the bytes that it takes: 1 KiB for some 100 µs that gateway,
 * replay and NATS work for it together. With 4 MiB in a second one user thus keeps less than half of a core busy.
 * A fair queue alone would leave it the whole of an idle core, and make everybody wait for that core.
 */

const KIB = 1024;

/**
 * A subscription, by what its start asks: NATS for its end, the archive, NATS and the archive by halves, or the archive
 * for the newest events of many topics.
 */
export const SUBSCRIBE_COST_BYTES: Readonly<Record<Start['kind'], number>> = {
  latest: 3 * KIB,
  cursor: 4 * KIB,
  earliest: 8 * KIB,
  time: 24 * KIB,
  last: 24 * KIB,
};

/** A handshake, with its token and the end of its connection. That of SSE reads a request and opens an answer. */
export const HANDSHAKE_COST_BYTES = { websocket: 8 * KIB, sse: 12 * KIB } as const;

/** Counts a handshake, and waits while its user is above the rate of bytes, or until the socket is closed. */
export async function awaitRate(
  { core: { clock }, limits, messageBytes }: Pick<Gateway, 'core' | 'limits' | 'messageBytes'>,
  socket: Socket,
  { user, bytes }: { readonly user: string; readonly bytes: number },
): Promise<void> {
  const restMs = messageBytes.take(user, bytes, clock.nowMs());
  if (restMs === 0 || socket.destroyed) return;
  limits.hit('message_bytes_per_second');
  await new Promise<void>((resolve) => {
    const end = (): void => {
      cancel();
      socket.off('close', end);
      resolve();
    };
    const cancel = clock.after(restMs, end);
    socket.once('close', end);
  });
}
