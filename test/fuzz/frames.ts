import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { frame } from './inputs.ts';
import { blocks, countOutcome, type Outcomes, type Surface, show } from './surface.ts';

const SOCKETS = 16;
const ANSWER_MS = 5000;

/** The first byte of a close frame (RFC 6455 section 5.5.1), the last frame of a server. */
const CLOSE = 0x88;

/** Valid and invalid bytes after the upgrade. The gateway closes with a code or goes on. */
export const frames: Surface = async (run) => {
  const outcomes: Outcomes = {};
  const several = fc
    .array(frame, { minLength: 1, maxLength: 4 })
    .map((some) => Buffer.concat(some));
  for (const block of blocks(several, run)) {
    const left = [...block];
    await Promise.all(
      Array.from({ length: SOCKETS }, async () => {
        for (let bytes = left.pop(); bytes; bytes = left.pop()) {
          countOutcome(outcomes, await send(run.system.gateway.port, run.system.token, bytes));
        }
      }),
    );
  }
  return outcomes;
};

async function send(port: number, token: string, bytes: Uint8Array): Promise<string> {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  const received: Buffer[] = [];
  socket.on('data', (chunk) => received.push(chunk));
  socket.write(
    `GET /v1/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Protocol: tidemark.v1\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  );
  // A reset by the other side would discard an answer that was not read yet.
  await Promise.race([once(socket, 'data'), once(socket, 'close')]);
  socket.write(bytes);
  // Half a frame may wait for its rest for ever. The input does not include the connection's end.
  socket.end();
  await ended(socket, bytes);
  const text = Buffer.concat(received);
  if (!text.toString('latin1').startsWith('HTTP/1.1 101')) {
    throw new Error(`${text.toString('latin1').slice(0, 200)} to ${show(bytes)}`);
  }
  return closeOf(text);
}

async function ended(socket: Socket, bytes: Uint8Array): Promise<void> {
  const timer = setTimeout(() => socket.destroy(new Error('late')), ANSWER_MS);
  const startMs = performance.now();
  await once(socket, 'close');
  clearTimeout(timer);
  if (performance.now() - startMs >= ANSWER_MS) throw new Error(`still open after ${show(bytes)}`);
}

/** Finds the close frame among the frames that the gateway sent. */
function closeOf(bytes: Buffer): string {
  let at = bytes.indexOf('\r\n\r\n') + 4;
  let close = 'no close frame';
  while (at + 2 <= bytes.length) {
    const short = (bytes[at + 1] ?? 0) & 0x7f;
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    const length =
      short < 126
        ? short
        : short === 126
          ? bytes.readUInt16BE(at + 2)
          : Number(bytes.readBigUInt64BE(at + 2));
    if (bytes[at] === CLOSE && length >= 2) close = `close ${bytes.readUInt16BE(at + head)}`;
    at += head + length;
  }
  return close;
}
