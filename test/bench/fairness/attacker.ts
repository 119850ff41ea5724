import { spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { constants, setPriority } from 'node:os';
import { gzipSync } from 'node:zlib';
import { WebSocket } from 'ws';
import { serveCommands } from '../system/commands.ts';
import type { Attack, Services } from './plan.ts';

interface Options {
  readonly services: Services;
  /** Of some users, who may do everything below `m`. */
  readonly tokens: readonly string[];
  /** Of a user who may only subscribe below `m`. */
  readonly reader: string;
}

const CONNECTIONS = 20;
/** Below the limit of 500 messages a second. */
const MESSAGE_MS = 2.5;
const REQUESTS = 16;

let options: Options;
let running = false;
const stops: (() => void)[] = [];

/** A hundred patterns of sixteen tokens, all different, with wildcards in the middle. */
function widePatterns(salt: number): string[] {
  return Array.from({ length: 100 }, (_, index) => {
    const tokens = Array.from({ length: 14 }, (_, at) => ((index >> (at % 7)) & 1 ? '*' : 'a'));
    return ['m', ...tokens, `${salt}-${index}`].join('.');
  });
}

function openSocket(onOpen: (socket: WebSocket) => void, token = options.tokens[0]): void {
  const socket = new WebSocket(`${options.services.gateway.replace('http', 'ws')}/v1/ws`, {
    headers: { authorization: `Bearer ${token}` },
  });
  socket.once('open', () => onOpen(socket));
  // Whatever is refused or closed is opened again, as an attacker would.
  socket.once('close', () => {
    if (running) setTimeout(() => running && openSocket(onOpen, token), 100);
  });
  socket.on('error', () => {});
  stops.push(() => socket.terminate());
}

function every(ms: number, work: () => void): void {
  const timer = setInterval(work, ms);
  stops.push(() => clearInterval(timer));
}

/** A time within the last minute, so that no two of them have one answer. */
function someTime(): string {
  return new Date(Date.now() - Math.random() * 60_000).toISOString();
}

/** Sends a message on each of many connections, as often as the limit allows. */
function flood(messages: (connection: number, n: number) => readonly object[]): void {
  for (let connection = 0; connection < CONNECTIONS; connection++) {
    let n = 0;
    openSocket((socket) => {
      every(10, () => {
        for (let sent = 0; sent < 10 / MESSAGE_MS; sent++) {
          if (socket.readyState !== WebSocket.OPEN || socket.bufferedAmount > 1e6) return;
          for (const message of messages(connection, n++)) socket.send(JSON.stringify(message));
        }
      });
    });
  }
}

/** Sends requests one after the other, some at a time. */
function repeat(send: (signal: AbortSignal) => Promise<unknown>, times = REQUESTS): void {
  const stop = new AbortController();
  stops.push(() => stop.abort());
  for (let index = 0; index < times; index++) {
    void (async () => {
      while (!stop.signal.aborted) {
        await send(stop.signal).catch(() => new Promise((resolve) => setTimeout(resolve, 20)));
      }
    })();
  }
}

async function get(url: string, signal: AbortSignal, token = options.tokens[0]): Promise<void> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` }, signal });
  await response.arrayBuffer();
}

const attacks: Readonly<Record<Attack, () => void>> = {
  subscribePatterns: () =>
    flood((connection, n) =>
      n % 2 === 0
        ? [{ type: 'subscribe', id: 's', topics: widePatterns(connection), after: 'earliest' }]
        : [{ type: 'unsubscribe', id: 's' }],
    ),
  livePatterns() {
    for (let connection = 0; connection < 8; connection++) {
      openSocket((socket) => {
        for (let n = 0; n < 10; n++) {
          const topics = widePatterns(connection * 10 + n);
          socket.send(JSON.stringify({ type: 'subscribe', id: `s${n}`, topics }));
        }
      });
    }
    repeat((signal) => {
      const topic = ['m', ...Array(14).fill('a'), String(Math.random()).slice(2)].join('.');
      return publish(JSON.stringify({ source: '/m', type: 'm', topic }), signal);
    }, 4);
  },
  historyPatterns: () =>
    repeat((signal) => {
      const topics = widePatterns(Math.floor(Math.random() * 1000)).join(',');
      const path = Math.random() < 0.5 ? 'events' : 'topics';
      return get(`${options.services.replay}/v1/${path}?topics=${topics}`, signal);
    }),
  messages: () =>
    flood((_, n) => [
      {
        type: 'publish',
        id: `p${n}`,
        event: { source: '/m', type: 'm', topic: 'x.y', data: Array(4000).fill({ a: 1 }) },
      },
    ]),
  coldReads: () =>
    flood((_, n) => [
      { type: 'subscribe', id: `s${n % 90}`, topics: [`m.${n % 1000}`], after: 'earliest' },
      { type: 'unsubscribe', id: `s${(n + 45) % 90}` },
    ]),
  // As many catch-ups as possible, each of which looks at all topics below `m` and finds none.
  idlePatterns: () =>
    flood((connection, n) => [
      {
        type: 'subscribe',
        id: `s${n % 9}`,
        topics: Array.from({ length: 100 }, (_, at) => `m.*.*.x${connection}-${n}-${at}`),
        after: 'earliest',
      },
      { type: 'unsubscribe', id: `s${(n + 1) % 9}` },
    ]),
  timeStarts: () =>
    flood((_, n) => [
      { type: 'subscribe', id: `s${n % 90}`, topics: [`m.${n % 1000}`], after: someTime() },
      { type: 'unsubscribe', id: `s${(n + 45) % 90}` },
    ]),
  handshakes() {
    const headers = {
      authorization: `Bearer ${options.tokens[0]}`,
      'content-type': 'application/json',
    };
    repeat(async (signal) => {
      const body = JSON.stringify({ topics: widePatterns(Math.floor(Math.random() * 1000)) });
      const request = { method: 'POST', headers, body, signal };
      const response = await fetch(`${options.services.gateway}/v1/sse`, request);
      await response.body?.cancel();
    });
    repeat((signal) => {
      return new Promise<void>((resolve) => {
        openSocket((socket) => socket.close());
        signal.addEventListener('abort', () => resolve());
        setTimeout(resolve, 20);
      });
    });
  },
  bodies() {
    for (const token of options.tokens) for (let n = 0; n < 64; n++) holdBody(token);
  },
  exports: () =>
    repeat(async (signal) => {
      const response = await fetch(`${options.services.replay}/v1/events?topics=m.>`, {
        headers: {
          authorization: `Bearer ${options.tokens[0]}`,
          accept: 'application/x-ndjson',
        },
        signal,
      });
      // Takes a little of it, and then nothing.
      await response.body?.getReader().read();
      await new Promise((resolve) => setTimeout(resolve, 5000));
    }),
  abortedReads: () =>
    repeat((signal) => {
      const url = `${options.services.replay}/v1/events?topics=${widePatterns(1).join(',')}`;
      return get(url, AbortSignal.any([signal, AbortSignal.timeout(5)]));
    }, 64),
  withoutGrant() {
    const keys = Object.fromEntries(Array.from({ length: 60_000 }, (_, n) => [`k${n}`, n]));
    const body = gzipSync(JSON.stringify({ source: '/m', type: 'm', topic: 'm.a', ...keys }));
    repeat((signal) => publish(body, signal, options.reader), 32);
  },
  wrongTokens() {
    const wrong = `${options.reader.slice(0, -4)}AAAA`;
    repeat((signal) => get(`${options.services.replay}/v1/topics`, signal, wrong), 32);
    for (let n = 0; n < CONNECTIONS; n++) {
      openSocket((socket) => {
        every(MESSAGE_MS, () =>
          socket.send(JSON.stringify({ type: 'authenticate', token: wrong })),
        );
      });
    }
  },
};

async function publish(
  body: string | Uint8Array<ArrayBuffer>,
  signal: AbortSignal,
  token = options.tokens[0],
): Promise<void> {
  const response = await fetch(`${options.services.ingest}/v1/events`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      ...(typeof body !== 'string' && { 'content-encoding': 'gzip' }),
    },
    body,
    signal,
  });
  await response.arrayBuffer();
}

/** Declares a body of the largest size, and sends a byte of it. */
function holdBody(token: string): void {
  const { hostname, port } = new URL(options.services.ingest);
  const socket = connect(Number(port), hostname);
  const head = `POST /v1/events HTTP/1.1\r\nHost: i\r\nAuthorization: Bearer ${token}\r\n`;
  socket.write(`${head}Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{`);
  socket.on('error', () => {});
  socket.once('close', () => {
    if (running) setTimeout(() => running && holdBody(token), 100);
  });
  stops.push(() => socket.destroy());
}

const commands = {
  begin({ attack, ...given }: Options & { attack: Attack }) {
    options = given;
    running = true;
    attacks[attack]();
  },
  end() {
    running = false;
    for (const stop of stops.splice(0)) stop();
  },
};
export type AttackerCommands = typeof commands;

// Attackers have machines of their own. Here they get what the services and the users leave of the shared one.
setPriority(constants.priority.PRIORITY_LOW);
// Only Linux has it. The lowest priority alone would still hold up whoever wakes.
spawnSync('chrt', ['--idle', '--all-tasks', '--pid', '0', String(process.pid)]);
serveCommands(commands);
