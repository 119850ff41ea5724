import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { WEB_SOCKET_EVENT_SUFFIX, webSocketEventPrefix } from '@tidemark/protocol';
import { serveCommands } from '../system/commands.ts';
import { nowUs } from '../wire/clock.ts';
import { layOut, stamp } from '../wire/event-layout.ts';

const EPOCH = 'bareloop';
const SWITCHING =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';
const TEXT = 0x81;
const LENGTH_16 = 126;

/** The loop reads its other sockets after this time, as any server does. */
const TURN_MS = 8;
const WRITES_PER_CLOCK = 16;

/** The lower bound of the cost: only sockets, and frames that were encoded before. */
const sockets: Socket[] = [];
const server = createServer({ noDelay: true, highWaterMark: 16 * 1024 }, (socket) => {
  socket.on('error', () => socket.destroy());
  socket.once('data', () => {
    socket.write(SWITCHING);
    for (const type of ['subscribed', 'live']) {
      socket.write(frame(JSON.stringify({ type, id: 's', cursor: `${EPOCH}-0` })));
    }
    sockets.push(socket);
    // This server ignores the clients' masked subscriptions and pongs.
    socket.resume();
  });
});

function frame(text: string): Buffer {
  const short = text.length < LENGTH_16;
  const header = Buffer.alloc(short ? 2 : 4);
  header[0] = TEXT;
  header[1] = short ? text.length : LENGTH_16;
  if (!short) header.writeUInt16BE(text.length, 2);
  return Buffer.concat([header, Buffer.from(text)]);
}

function eventFrame(eventBytes: number, round: number, timeUs: number): Buffer {
  const template = layOut('narrow.0000.0', eventBytes);
  const event = stamp(template, { counter: round + 1, timeUs }).toString('latin1');
  const prefix = webSocketEventPrefix({ epoch: EPOCH, sequence: 1_000_000 + round });
  return frame(prefix + event + WEB_SOCKET_EVENT_SUFFIX);
}

interface RatePlan {
  readonly rounds: number;
  readonly eventBytes: number;
  readonly perSecond: number;
}

const commands = {
  async listen(_: object) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { port: (server.address() as AddressInfo).port };
  },
  /** Writes one frame per round to every socket. */
  async write({ rounds, eventBytes }: { rounds: number; eventBytes: number }) {
    const frames = Array.from({ length: rounds }, (_, round) => eventFrame(eventBytes, round, 0));
    let writes = 0;
    let deadlineMs = performance.now() + TURN_MS;
    for (const bytes of frames) {
      for (const socket of sockets) {
        socket.write(bytes);
        if (++writes % WRITES_PER_CLOCK !== 0 || performance.now() < deadlineMs) continue;
        await nextTurn();
        deadlineMs = performance.now() + TURN_MS;
      }
    }
  },
  /** Writes one frame to every socket at each due time, stamped when its first write begins. */
  async writeAtRate({ rounds, eventBytes, perSecond }: RatePlan) {
    const startedUs = nowUs();
    for (let round = 0; round < rounds; round++) {
      const dueUs = startedUs + (round * 1_000_000) / perSecond;
      while (nowUs() < dueUs) await sleep(1);
      const bytes = eventFrame(eventBytes, round, nowUs());
      for (const socket of sockets) socket.write(bytes);
    }
  },
};
export type BareLoopCommands = typeof commands;

serveCommands(commands);
