import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freeze } from '../support/freeze.ts';
import { limitHeld, limitHits, makeToken, type Service } from '../support/services.ts';
import { metric, numbered, type System, series, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

/*
 * SECURITY.md, "What the limits add up to": replay and ingest with all that clients may make them hold need
 * as much memory as that page says, and go on serving. The limits here are small.
 */

const MIB = 1024 ** 2;

/** A process with nothing to hold, and what its collector has not come to. */
const INGEST_MIB = 160;
const REPLAY_MIB = 224;
const PAGE_MIB = 64;
const BODY_MIB = 32;
/** In each body. */
const EVENTS = 400;

let system: System;
const sockets: Socket[] = [];

beforeAll(async () => {
  system = await startSystem({
    env: {
      TIDEMARK_REPLAY_PAGE_BYTES_MAX: String(PAGE_MIB * MIB),
      TIDEMARK_INGEST_BODIES_BYTES_MAX: String(BODY_MIB * MIB),
      TIDEMARK_INGEST_APPEND_TIMEOUT_MS: '20000',
    },
  });
});

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await system.stop();
});

async function residentMiB(service: Service): Promise<number> {
  const text = await (await fetch(`${service.url}/metrics`)).text();
  return Number(/^process_resident_memory_bytes\{.*\} (\d+)/m.exec(text)?.[1]) / MIB;
}

function open({ port }: Service, lines: readonly string[]): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(`${[...lines, 'Host: 127.0.0.1'].join('\r\n')}\r\n\r\n`);
  sockets.push(socket);
  return socket;
}

test('pages of all users at their limit: the memory that SECURITY.md names, and others are served', async () => {
  const { replay } = system;
  const large = series('total.page', 1, 60).map((one) => ({ ...one, data: 'x'.repeat(200_000) }));
  for (const event of large) await system.publisher.store(event);
  await until(async () => (await metric(replay, 'projection_position')) === 60);
  for (let user = 0; (await limitHits(replay, 'page_bytes')) === 0; user++) {
    const token = await makeToken('history:>', `reader ${user}`);
    const socket = open(replay, [
      'GET /v1/events?topics=total.page HTTP/1.1',
      `Authorization: Bearer ${token}`,
    ]);
    await once(socket, 'readable');
  }
  expect(await limitHeld(replay, 'page_bytes')).toBeGreaterThan(0.8 * PAGE_MIB * MIB);
  expect(await residentMiB(replay)).toBeLessThan(REPLAY_MIB + 2 * PAGE_MIB);
  const headers = { authorization: `Bearer ${await makeToken('history:>', 'honest')}` };
  expect((await fetch(`${replay.url}/v1/events?limit=1`, { headers })).status).toBe(200);
});

test('bodies of all users at their limit, parsed: the memory that SECURITY.md names, and others are served', async () => {
  const { ingest } = system;
  const batch = Array.from({ length: EVENTS }, (_, index) => ({
    specversion: '1.0',
    ...numbered('total.body', index),
    data: Array(300).fill({ a: 1 }),
  }));
  const body = JSON.stringify(batch);
  await freeze(system.nats.pid);
  try {
    const held = () => limitHeld(ingest, 'bodies_bytes');
    for (let user = 0; (await limitHits(ingest, 'bodies_bytes')) === 0; user++) {
      const token = await makeToken('publish:>', `writer ${user}`);
      const socket = open(ingest, [
        'POST /v1/events HTTP/1.1',
        'Content-Type: application/cloudevents-batch+json',
        `Content-Length: ${body.length}`,
        `Authorization: Bearer ${token}`,
      ]);
      const before = await held();
      socket.write(body);
      await until(async () => {
        return (await held()) > before || (await limitHits(ingest, 'bodies_bytes')) > 0;
      });
    }
    // Until all of them are parsed.
    await until(async () => (await limitHeld(ingest, 'appends')) > 0.9 * BODY_MIB * EVENTS);
    expect(await held()).toBeGreaterThan(0.9 * BODY_MIB * MIB);
    expect(await residentMiB(ingest)).toBeLessThan(INGEST_MIB + 12 * BODY_MIB);
  } finally {
    process.kill(system.nats.pid, 'SIGCONT');
  }
  await system.publisher.store(numbered('total.body', 1000));
});
