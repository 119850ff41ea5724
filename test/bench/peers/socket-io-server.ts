import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { serveCommands } from '../system/commands.ts';
import { layOut, stamp } from '../wire/event-layout.ts';

/** The part of Socket.IO's server that is used here. */
interface SocketIoServer {
  on(event: 'connection', listener: (socket: { join(room: string): void }) => void): void;
  to(room: string): { emit(event: string, payload: unknown): void };
}

/*
 * Loaded at run time, so that the types of the whole repository check without this package, which
 * only `npm run bench` installs.
 */
const load = createRequire(import.meta.url);
const { Server } = load('socket.io') as {
  Server: new (http: object, options: object) => SocketIoServer;
};

const ROOM = 'all';
const http = createServer();
const server = new Server(http, {
  transports: ['websocket'],
  perMessageDeflate: false,
  serveClient: false,
});
server.on('connection', (socket) => socket.join(ROOM));

/** Socket.IO 4.8 with its best settings: WebSocket only, no compression, one room. */
const commands = {
  async listen(_: object) {
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    return { port: (http.address() as AddressInfo).port };
  },
  async emit({ events, eventBytes }: { events: number; eventBytes: number }) {
    const template = layOut('fan-out.0.0', eventBytes);
    const payloads = Array.from({ length: events }, (_, index) => {
      return JSON.parse(stamp(template, { counter: index + 1, timeUs: 0 }).toString());
    });
    for (const payload of payloads) {
      server.to(ROOM).emit('event', payload);
      await nextTurn();
    }
  },
};
export type SocketIoCommands = typeof commands;

serveCommands(commands);
