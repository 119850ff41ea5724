import { describe, expect, test } from 'vitest';
import { limitHeld, limitHits, makeToken, startService } from '../support/services.ts';
import { numbered, series } from '../support/system.ts';
import { until } from '../support/until.ts';
import type { WebSocketClient } from '../support/web-socket-client.ts';
import {
  gateway,
  MESSAGE_BYTES_PER_SECOND,
  nextAddress,
  open,
  sse,
  system,
  useLimitedSystem,
} from './limits-setup.ts';

/* PROTOCOL.md section 8.2: what one user may take on all connections. */

/** What each counts, in bytes (PROTOCOL.md section 8.2). */
const BYTES_AT_LEAST = {
  subscriptions: 24 * 1024,
  'WebSocket handshakes': 8 * 1024,
  'SSE handshakes': 15 * 1024,
};

useLimitedSystem();

describe('one user', () => {
  test('bytes of messages of a user, on all connections: more are read later, and nobody else waits', async () => {
    const user = 'talker';
    const talkers = await Promise.all([0, 1].map(() => open({ address: nextAddress(), user })));
    const other = await open({ address: nextAddress(), user: 'listener' });
    for (const client of [...talkers, other]) await client.first('welcome');
    const startMs = performance.now();
    const message = { type: 'nothing', text: 'x'.repeat(MESSAGE_BYTES_PER_SECOND / 4) };
    for (const client of talkers) for (let n = 0; n < 5; n++) client.send(message);
    await until(() => talkers.some((client) => client.all('error').length > 1));
    other.send({ type: 'ping' });
    await other.first('pong');
    expect(performance.now() - startMs).toBeLessThan(1000);
    await until(() => talkers.every((client) => client.all('error').length === 5));
    // The first second's bytes are free, and the last messages were read already when their bytes counted.
    expect(performance.now() - startMs).toBeGreaterThan(750);
    expect(await limitHits(gateway, 'message_bytes_per_second')).toBeGreaterThan(1);
    for (const client of [...talkers, other]) await client.close();
  });

  const nextOf = {
    subscriptions: (user: string) => subscribeOnce(user),
    'WebSocket handshakes': async (user: string) => {
      const client = await open({ address: anyAddress(), user });
      await client.first('welcome');
      await client.close();
    },
    'SSE handshakes': async (user: string) => {
      const answer = await sse({ address: anyAddress(), user });
      expect(answer.status).toBe(200);
      await answer.body?.cancel();
    },
  };
  let addresses = 0;
  function anyAddress(): string {
    addresses++;
    return `198.18.${addresses >> 8}.${addresses & 255}`;
  }
  let subscriber: WebSocketClient | undefined;
  let subscribed = 0;
  async function subscribeOnce(user: string): Promise<void> {
    subscriber ??= await open({ address: nextAddress(), user });
    const id = `again-${subscribed++}`;
    const after = new Date(Date.now() - 1000).toISOString();
    subscriber.send({ type: 'subscribe', id, topics: ['limits.x'], after });
    await subscriber.first('live', id);
    subscriber.send({ type: 'unsubscribe', id });
    await subscriber.first('unsubscribed', id);
  }

  test.each(Object.entries(nextOf))(
    '%s, again and again: those beyond the rate of bytes of the user wait, and nobody else',
    async (name, next) => {
      const other = await open({ address: nextAddress(), user: 'calm' });
      await other.first('welcome');
      const hits = await limitHits(gateway, 'message_bytes_per_second');
      const startMs = performance.now();
      let count = 0;
      while (performance.now() - startMs < 3000) {
        await next(`asks for ${name}`);
        count++;
      }
      // The first second's bytes are free.
      const bytes = count * BYTES_AT_LEAST[name as keyof typeof nextOf];
      expect(bytes).toBeLessThan(1.5 * 4 * MESSAGE_BYTES_PER_SECOND);
      expect(bytes).toBeGreaterThan(MESSAGE_BYTES_PER_SECOND);
      expect(await limitHits(gateway, 'message_bytes_per_second')).toBeGreaterThan(hits);
      const pingMs = performance.now();
      other.send({ type: 'ping' });
      await other.first('pong');
      expect(performance.now() - pingMs).toBeLessThan(500);
      await other.close();
      await subscriber?.close();
      subscriber = undefined;
    },
  );

  test('patterns of a user: too much memory on all connections: refused; over SSE an error; an end makes room', async () => {
    const user = 'greedy';
    const [first, second, other] = await Promise.all(
      [user, user, 'modest'].map((each) => open({ address: nextAddress(), user: each })),
    );
    const five = (mark: string) => Array.from({ length: 5 }, (_, index) => `p.${mark}.${index}`);
    first?.send({ type: 'subscribe', id: '1', topics: five('a') });
    await first?.first('live', '1');
    second?.send({ type: 'subscribe', id: '2', topics: five('b') });
    expect(await second?.first('error', '2')).toMatchObject({ code: 'limit_exceeded' });
    const shed = await sse({ address: nextAddress(), user }, `topics=${five('c').join(',')}`);
    expect(await shed.text()).toContain('"code":"limit_exceeded"');
    expect(await limitHits(gateway, 'pattern_bytes_per_user')).toBe(2);
    other?.send({ type: 'subscribe', id: '3', topics: five('d') });
    await other?.first('live', '3');
    expect(await limitHeld(gateway, 'pattern_bytes')).toBeGreaterThan(5000);
    await first?.close();
    await until(async () => {
      second?.send({ type: 'subscribe', id: '4', topics: five('b') });
      return (second?.all('live', '4').length ?? 0) > 0;
    });
    await Promise.all([second?.close(), other?.close()]);
  });

  test('wildcards of a user: more than three in a pattern count, and too many are refused', async () => {
    const client = await open({ address: nextAddress(), user: 'starry' });
    client.send({ type: 'subscribe', id: '1', topics: ['w.*.*.*.*', '*.*.*.*.w', 'w.*.*.*'] });
    await client.first('live', '1');
    client.send({ type: 'subscribe', id: '2', topics: ['x.*.*.*.*'] });
    expect(await client.first('error', '2')).toMatchObject({ code: 'limit_exceeded' });
    client.send({ type: 'unsubscribe', id: '1' });
    client.send({ type: 'subscribe', id: '3', topics: ['x.*.*.*.*'] });
    await client.first('live', '3');
    expect(await limitHits(gateway, 'wildcards_per_user')).toBe(1);
    await client.close();
  });
});

describe('publishes and tickets of one user', () => {
  test('publishes of a user over WebSocket: too many in a second: refused, not stored', async () => {
    const [client, other] = await Promise.all([
      open({ address: nextAddress(), user: 'writer' }),
      open({ address: nextAddress(), user: 'another' }),
    ]);
    await Promise.all([client.first('welcome'), other.first('welcome')]);
    for (const event of series('limits.rate', 1, 40)) {
      client.send({ type: 'publish', id: event.id, event });
    }
    await until(() => client.all('published').length + client.all('error').length === 40);
    expect(client.all('published').length).toBe(20);
    for (const error of client.all('error')) {
      expect(error).toMatchObject({ code: 'limit_exceeded', retryAfterSeconds: 1 });
    }
    other.send({ type: 'publish', id: 'o', event: numbered('limits.rate', 100) });
    await other.first('published');
    await Promise.all([client.close(), other.close()]);
  });

  test('publishes of a user at ingest: too many in a second: 429 with Retry-After', async () => {
    const ingest = await startService('ingest', {
      natsUrl: system.nats.url,
      env: {
        TIDEMARK_INGEST_PUBLISHES_PER_SECOND_MAX: '10',
        TIDEMARK_INGEST_BATCH_EVENTS_MAX: '10',
      },
    });
    const post = async (first: number, user: string) =>
      fetch(`${ingest.url}/v1/events`, {
        method: 'POST',
        headers: {
          'content-type': 'application/cloudevents-batch+json',
          authorization: `Bearer ${await makeToken('publish:>', user)}`,
        },
        body: JSON.stringify(
          series('limits.batch', first, first + 5).map((one) => ({ specversion: '1.0', ...one })),
        ),
      });
    expect((await post(1, 'batcher')).status).toBe(201);
    const refused = await post(11, 'batcher');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    expect(await refused.json()).toMatchObject({ code: 'limit_exceeded', retryable: true });
    expect((await post(21, 'other')).status).toBe(201);
    expect(await limitHits(ingest, 'publishes_per_second')).toBe(1);
    await until(async () => (await post(11, 'batcher')).status === 201);
    await ingest.stop();
  });

  test('tickets of a user: too many in a second, from anywhere: 429; others get theirs', async () => {
    const ask = async (user: string) => {
      const authorization = `Bearer ${await makeToken('subscribe:a', user)}`;
      const headers = { authorization, 'x-forwarded-for': nextAddress() };
      return fetch(`${gateway.url}/v1/tickets`, { method: 'POST', headers });
    };
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask('collector')));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 201, 429, 429]);
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.headers.get('retry-after')).toBe('1');
    expect((await ask('other')).status).toBe(201);
    expect(await limitHits(gateway, 'tickets_per_second')).toBe(2);
  });
});
