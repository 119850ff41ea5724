import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { serveCommands } from '../system/commands.ts';
import { layOut, stamp } from '../wire/event-layout.ts';

/** The part of Socket.IO's server that is used here. */
interface SocketIoServer {
  on(event: 'connection', listener: (socket: SocketIoSocket) => void): void;
  to(room: string): { emit(event: string, payload: unknown): void };
  readonly engine: {
    on(event: 'connection', listener: (socket: { request: unknown }) => void): void;
  };
}

interface SocketIoSocket {
  readonly handshake: { readonly auth: { readonly topics?: readonly string[] } };
  join(rooms: readonly string[]): void;
}

interface Emission {
  readonly topic: string;
  readonly data: unknown;
}

/*
 * Loaded at run time, so that the types of the whole repository check without this package, which
 * only `npm run bench` installs.
 */
const load = createRequire(import.meta.url);
const { Server } = load('socket.io') as {
  Server: new (http: object, options: object) => SocketIoServer;
};

let server: SocketIoServer;
const http = createServer((request, response) => void answer(request, response));

/** Socket.IO has no API to publish with, so this is what a service would add: the events of a body. */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url !== '/emit') return;
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const emissions: Emission[] = JSON.parse(Buffer.concat(chunks).toString());
  for (const { topic, data } of emissions) server.to(topic).emit('event', data);
  response.end('{}');
}

/** Socket.IO 4.8 with its best settings: WebSocket only, no compression, no kept requests; a room for each topic. */
const commands = {
  /** @param recovery whether missed packets are kept (in memory), as they are not by default */
  async listen({ recovery = false }: { recovery?: boolean }) {
    server = new Server(http, {
      transports: ['websocket'],
      perMessageDeflate: false,
      serveClient: false,
      ...(recovery && { connectionStateRecovery: {} }),
    });
    server.engine.on('connection', (socket) => {
      // Its documentation tells how to save this memory.
      socket.request = null;
    });
    server.on('connection', (socket) => socket.join(socket.handshake.auth.topics ?? []));
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    return { port: (http.address() as AddressInfo).port };
  },
  async emit({ topic, events, eventBytes }: { topic: string; events: number; eventBytes: number }) {
    const template = layOut(topic, eventBytes);
    const payloads = Array.from({ length: events }, (_, index) => {
      return JSON.parse(stamp(template, { counter: index + 1, timeUs: 0 }).toString());
    });
    for (const payload of payloads) {
      server.to(topic).emit('event', payload);
      await nextTurn();
    }
  },
};
export type SocketIoCommands = typeof commands;

serveCommands(commands);
