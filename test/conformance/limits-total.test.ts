import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeToken, type Service } from '../support/services.ts';
import { appendDirectly, metric, type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';
import { openBareSocket } from './bare-sockets.ts';

/*
 * SECURITY.md, "What the limits add up to": a gateway whose limits are all reached at once needs as much
 * memory as that page says, and goes on serving. The limits here are small, and the sums are those of the page.
 */

const MIB = 1024 ** 2;

const LIMITS = { tailMiB: 32, patternMiB: 32, connections: 80, messageMiB: 0.5, coldReads: 4 };

/** The columns of the page: the JavaScript heap, and what is outside of it. */
const HEAP_MIB = 64 + LIMITS.tailMiB + LIMITS.patternMiB + LIMITS.connections;
const OUTSIDE_MIB = 160 + LIMITS.coldReads * 8 + LIMITS.connections * (LIMITS.messageMiB + 0.25);

/** Connections that take no answers. The kernel takes megabytes of them before the gateway holds any. */
const DEAF = 6;

let system: System;
let gateway: Service;
const clients: WebSocketClient[] = [];
const sockets: Socket[] = [];

beforeAll(async () => {
  system = await startSystem();
  gateway = await system.startGateway({
    NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB}`,
    TIDEMARK_GATEWAY_TAIL_BYTES_MAX: String(LIMITS.tailMiB * MIB),
    TIDEMARK_GATEWAY_PATTERN_BYTES_MAX: String(LIMITS.patternMiB * MIB),
    TIDEMARK_GATEWAY_PATTERN_BYTES_PER_USER_MAX: String((LIMITS.patternMiB / 2) * MIB),
    TIDEMARK_GATEWAY_CONNECTIONS_MAX: String(LIMITS.connections),
    TIDEMARK_GATEWAY_MESSAGE_BYTES_MAX: String(LIMITS.messageMiB * MIB),
    TIDEMARK_GATEWAY_COLD_READS_MAX: String(LIMITS.coldReads),
    TIDEMARK_GATEWAY_MESSAGES_PER_SECOND_MAX: '1000000',
    TIDEMARK_GATEWAY_MESSAGE_BYTES_PER_SECOND_MAX: '1000000000000',
    TIDEMARK_GATEWAY_STALL_TIMEOUT_MS: '600000',
  });
});

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  for (const client of clients) client.socket.terminate();
  await system.stop();
});

/** A user name for every so many connections, so that no user reaches a limit of one user. */
async function tokenOf(number: number): Promise<string> {
  return makeToken('subscribe:> publish:>', `user ${number}`);
}

/** 100 patterns of 16 tokens that no two connections share. */
function patterns(mark: string): string[] {
  return Array.from({ length: 100 }, (_, index) => {
    const tokens = Array.from({ length: 14 }, (_, at) => `${mark}-${index}-${at}`.slice(0, 11));
    return [...tokens, '*', '>'].join('.');
  });
}

async function processMetric(name: string): Promise<number> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  return Number(new RegExp(`^${name}\\{.*\\} (\\d+)`, 'm').exec(text)?.[1]);
}

async function limitHit(limit: string): Promise<boolean> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  return new RegExp(`limits_hit_total\\{.*"${limit}".*\\} [1-9]`).test(text);
}

/** Small events of a topic each, which cost more memory than their bytes. */
async function fillTail(): Promise<void> {
  const events = Array.from({ length: 55_000 }, (_, index) => {
    return { id: `${index}`, source: '/t', type: `total.${index}.topic`, data: index };
  });
  await appendDirectly(system.nats.url, events);
  await until(
    async () => (await metric(gateway, 'gateway_tail_bytes')) > 0.98 * LIMITS.tailMiB * MIB,
  );
}

/** Ten connections of four users subscribe until patterns are refused, half of them while they catch up. */
async function fillPatterns(): Promise<void> {
  for (let number = 0; number < 20; number++) {
    const client = new WebSocketClient(gateway.url, { token: await tokenOf(number % 4) });
    clients.push(client);
    await client.first('welcome');
    if (number % 2 === 0) client.socket.pause();
    for (let list = 0; list < 10; list++) {
      const id = `${list}`;
      const after = number % 2 === 0 ? { after: 'earliest' } : {};
      const topics = [
        ...patterns(`${number}-${list}`).slice(1),
        ...(number % 2 === 0 ? ['total.>'] : ['x']),
      ];
      client.send({ type: 'subscribe', id, topics, ...after });
    }
  }
  await until(() => limitHit('pattern_bytes'), 'patterns are refused', 20_000);
}

/** The beginning of a message that takes the whole limit but its end. */
function halfMessage(): Buffer {
  const length = LIMITS.messageMiB * MIB - 100;
  const header = Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([header, Buffer.alloc(length - 1000, 'x')]);
}

/** Connections that send half a message, or ask and take no answers, until no more are accepted. */
async function fillConnections(): Promise<void> {
  const deaf: Socket[] = [];
  for (let number = clients.length; number < LIMITS.connections; number++) {
    const socket = await openBareSocket(gateway, await tokenOf(100 + number));
    socket.pause();
    sockets.push(socket);
    if (deaf.length < DEAF) deaf.push(socket);
    else socket.write(halfMessage());
  }
  const refused = openBareSocket(gateway, await tokenOf(1000));
  await expect(refused).rejects.toThrow('429');
  await Promise.all(deaf.map(askUntilIgnored));
}

/** Sends what is refused until the gateway reads no more. */
async function askUntilIgnored(socket: Socket): Promise<void> {
  const text = `{"type":"unsubscribe","id":"${'x'.repeat(60)}"}`;
  const header = Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]);
  const many = Buffer.concat(Array(1000).fill(Buffer.concat([header, Buffer.from(text)])));
  // A gateway that is only slow has not reached the limit yet.
  for (let idle = 0; idle < 50 || !(await limitHit('unsent_answers')); ) {
    const before = socket.bytesWritten - socket.writableLength;
    if (socket.writableLength < 200_000) socket.write(many);
    await sleep(20);
    idle = socket.bytesWritten - socket.writableLength > before ? 0 : idle + 1;
  }
}

test('every limit reached at once: the memory that SECURITY.md names, and others are served', async () => {
  const { pid } = gateway;
  await fillTail();
  await fillPatterns();
  await fillConnections();
  for (const limit of ['pattern_bytes', 'connections', 'unsent_answers']) {
    expect(await limitHit(limit), limit).toBe(true);
  }
  const residentMiB = (await processMetric('process_resident_memory_bytes')) / MIB;
  expect(residentMiB).toBeLessThan(HEAP_MIB + OUTSIDE_MIB);
  // One connection makes room for an honest one.
  const [leaving] = sockets;
  leaving?.destroy();
  if (leaving) await once(leaving, 'close');
  let honest: WebSocketClient | undefined;
  await until(async () => {
    honest = new WebSocketClient(gateway.url, { token: await tokenOf(2000) });
    const opened = honest.first('welcome').then(() => true);
    return Promise.race([opened, honest.closed.then(() => false)]);
  });
  honest?.send({ type: 'subscribe', id: 'honest', topics: ['honest.*'] });
  await honest?.first('live', 'honest');
  await appendDirectly(system.nats.url, [{ id: '1', source: '/t', type: 'honest.1' }]);
  await until(() => honest?.all('event').length === 1);
  await honest?.close();
  expect(gateway.pid).toBe(pid);
}, 120_000);
