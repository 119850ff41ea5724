import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { CLOSE_CODES } from '@tidemark/protocol';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { closeCode, maskedFrame, openBareSocket } from '../conformance/bare-sockets.ts';
import { ChunkDecoder } from '../support/chunks.ts';
import { TRANSPORTS, untilEvents } from '../support/clients.ts';
import type { Service } from '../support/services.ts';
import {
  appendDirectly,
  ids,
  metric,
  type System,
  series,
  startSystem,
  untilHead,
} from '../support/system.ts';
import { until } from '../support/until.ts';

/* Promise 6 for clients that do not take what is due: nothing piles up for them. */

const TOPIC = 'slow';

/** Some 20 MB on the wire: more than the kernel takes for a client that does not read. */
const EVENTS = 50_000;
const SLOW_CLIENTS = 40;
/** So many of each transport read again, the others never. */
const WAKING_CLIENTS = 3;

/** As much in fewer pieces. */
const LARGE_EVENTS = 2500;
const LARGE_TEXT = 'x'.repeat(10_000);

/** What reading and the collector may take; a queue for each slow client would be 800 MB. */
const GROWTH_MIB_MAX = 150;

async function residentMib({ pid }: Service): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}

/** An SSE client on a bare socket: `pause()` makes it one that does not read. */
class BareSseClient {
  readonly socket: Socket;
  readonly ids: string[] = [];
  readonly blocks: string[] = [];
  ended = false;
  readonly #chunks = new ChunkDecoder();
  /** The head, until it is complete. */
  #head: Buffer | undefined = Buffer.alloc(0);
  #text = '';

  constructor({ port }: Service, path: string, token: string) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.write(
      `GET ${path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    );
    this.socket.on('data', (bytes: Buffer) => this.#read(this.#chunks.decode(this.#body(bytes))));
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.ended = true;
    });
  }

  #body(bytes: Buffer): Buffer {
    if (!this.#head) return bytes;
    this.#head = Buffer.concat([this.#head, bytes]);
    const end = this.#head.indexOf('\r\n\r\n');
    if (end === -1) return Buffer.alloc(0);
    const body = this.#head.subarray(end + 4);
    this.#head = undefined;
    return body;
  }

  #read(content: Buffer): void {
    const blocks = (this.#text + content.toString('utf8')).split('\n\n');
    this.#text = blocks.pop() ?? '';
    for (const block of blocks) {
      const json = /^data: (\{"specversion.*)$/m.exec(block)?.[1];
      if (json === undefined) this.blocks.push(block);
      else this.ids.push(JSON.parse(json).id);
    }
  }
}

describe('slow clients while 50,000 events pass', () => {
  let system: System;
  beforeAll(async () => {
    system = await startSystem({
      env: {
        TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '2000',
        // However long this machine takes: the slow ones are not to be closed.
        TIDEMARK_GATEWAY_STALL_TIMEOUT_MS: '600000',
        TIDEMARK_GATEWAY_IDLE_TIMEOUT_MS: '600000',
      },
    });
  });
  afterAll(() => system.stop());

  test('memory stays flat, others receive all at once, and they do after reading again', async () => {
    const { gateway, replay, nats, token, open, listen } = system;
    // Not needed here, and without it the flood is a flood on any server.
    await replay.kill();
    await appendDirectly(nats.url, series('warm-up', 1, 10_000));
    await untilHead(system);

    const sockets = Array.from({ length: SLOW_CLIENTS / 2 }, () => open());
    for (const client of sockets) {
      client.send({ type: 'subscribe', id: 's', topics: [TOPIC] });
      await client.first('live');
      client.socket.pause();
    }
    const streams = Array.from({ length: SLOW_CLIENTS / 2 }, () => {
      return new BareSseClient(gateway, `/v1/sse?topics=${TOPIC}`, token);
    });
    for (const { blocks, socket } of streams) {
      await until(() => blocks.some((block) => block.includes('event: live')));
      socket.pause();
    }
    const quick = TRANSPORTS.map((transport) => listen(transport, { topics: TOPIC }));
    for (const listener of quick) await until(() => listener.live);
    const before = await residentMib(gateway);

    await appendDirectly(nats.url, series(TOPIC, 1, EVENTS));
    for (const listener of quick) await untilEvents(listener, EVENTS);
    for (const { ids: received } of quick) expect(received).toEqual(ids(1, EVENTS));
    expect((await residentMib(gateway)) - before).toBeLessThan(GROWTH_MIB_MAX);
    expect(await metric(gateway, 'gateway_connections_behind')).toBe(SLOW_CLIENTS);

    const wakingSockets = sockets.slice(0, WAKING_CLIENTS);
    const wakingStreams = streams.slice(0, WAKING_CLIENTS);
    for (const { socket } of [...wakingSockets, ...wakingStreams]) socket.resume();
    for (const client of wakingSockets) {
      await until(() => client.all('event').length === EVENTS);
      expect(client.all('event').map(({ event }) => event.id)).toEqual(ids(1, EVENTS));
      expect(client.all('gap')).toEqual([]);
    }
    for (const stream of wakingStreams) {
      await until(() => stream.ids.length === EVENTS);
      expect(stream.ids).toEqual(ids(1, EVENTS));
    }
    expect((await residentMib(gateway)) - before).toBeLessThan(GROWTH_MIB_MAX);
    for (const { socket } of sockets) socket.terminate();
    for (const { socket } of streams) socket.destroy();
  }, 90_000);
});

describe('clients that are as good as gone', () => {
  let system: System;
  beforeAll(async () => {
    system = await startSystem({
      env: {
        TIDEMARK_GATEWAY_HEARTBEAT_MS: '100',
        TIDEMARK_GATEWAY_IDLE_TIMEOUT_MS: '1500',
        TIDEMARK_GATEWAY_STALL_TIMEOUT_MS: '500',
      },
    });
    const large = series(TOPIC, 1, LARGE_EVENTS).map((event) => ({ ...event, data: LARGE_TEXT }));
    await appendDirectly(system.nats.url, large);
  });
  afterEach(async () => {
    await until(async () => (await metric(system.gateway, 'gateway_connections')) === 0);
  });
  afterAll(() => system.stop());

  test('WebSocket: nothing read for the stall timeout: closed with 4001, the log goes on', async () => {
    const { gateway, open } = system;
    const stalled = await metric(gateway, 'gateway_stalled_total');
    const client = open();
    await client.first('welcome');
    client.send({ type: 'subscribe', id: 's', topics: [TOPIC], after: 'earliest' });
    client.socket.pause();
    await until(async () => (await metric(gateway, 'gateway_stalled_total')) > stalled);
    client.socket.resume();
    expect((await client.closed).code).toBe(CLOSE_CODES.stalled);
    const received = client.all('event').map(({ event }) => event.id);
    expect(received.length).toBeLessThan(LARGE_EVENTS);
    expect(received).toEqual(ids(1, received.length));
    expect(await metric(gateway, 'gateway_stalled_total')).toBe(stalled + 1);
  });

  test('SSE: nothing read for the stall timeout: the connection is ended, once', async () => {
    const { gateway, token } = system;
    const stalled = await metric(gateway, 'gateway_stalled_total');
    const path = `/v1/sse?topics=${TOPIC}&after=earliest`;
    const stream = new BareSseClient(gateway, path, token);
    await until(() => stream.blocks.length > 0);
    stream.socket.pause();
    await until(async () => (await metric(gateway, 'gateway_stalled_total')) > stalled);
    await until(async () => (await metric(gateway, 'gateway_connections')) === 0);
    expect(await metric(gateway, 'gateway_stalled_total')).toBe(stalled + 1);
    stream.socket.resume();
    await until(() => stream.ended);
    expect(stream.ids).toEqual(ids(1, stream.ids.length));
  });

  test('WebSocket: pings without an answer: closed with 4002', async () => {
    const { gateway, open } = system;
    const client = open({ autoPong: false });
    await client.first('welcome');
    expect((await client.closed).code).toBe(CLOSE_CODES.unresponsive);
    expect(await metric(gateway, 'gateway_unresponsive_total')).toBe(1);
  });

  test('WebSocket: half of a message, and pongs for as long: closed with 4002', async () => {
    const { gateway, token } = system;
    const before = await metric(gateway, 'gateway_unresponsive_total');
    const socket = await openBareSocket(gateway, token);
    const code = closeCode(socket);
    socket.write(maskedFrame(0x01, Buffer.from('{"type":')));
    const timer = setInterval(() => socket.write(maskedFrame(0x8a, Buffer.from(''))), 50);
    expect(await code).toBe(CLOSE_CODES.unresponsive);
    clearInterval(timer);
    expect(await metric(gateway, 'gateway_unresponsive_total')).toBe(before + 1);
  });

  test('WebSocket: silent but alive: pings are answered and it stays', async () => {
    const client = system.open();
    await client.first('welcome');
    let pings = 0;
    client.socket.on('ping', () => pings++);
    await until(() => pings >= 10);
    expect(client.socket.readyState).toBe(client.socket.OPEN);
    await client.close();
  });
});
