import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpPublisherOptions } from '@tidemark/publisher';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { freePorts } from '../support/free-ports.ts';
import { freeze } from '../support/freeze.ts';
import { Publishers, publisherError } from '../support/library-publishers.ts';
import { type Relay, startRelay } from '../support/relay.ts';
import { limitHits, makeToken, startService } from '../support/services.ts';
import { type System, startSystem, streamEvents } from '../support/system.ts';
import { until } from '../support/until.ts';

/* `@tidemark/publisher` while services die, answers are lost, and limits are reached. */

let system: System;
let token: string;
let publishers: Publishers;
beforeAll(async () => {
  system = await startSystem();
  token = await makeToken('publish:>', 'shop');
  publishers = new Publishers(system, token);
});
afterEach(() => publishers.end());
afterAll(() => system.stop());

const open = (options?: Partial<HttpPublisherOptions>) => publishers.open(options);

async function relayTo(port: number): Promise<Relay> {
  return publishers.keep(await startRelay(port));
}

/** A server that answers each request in the same way, and counts them. */
async function answering(
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly url: string; readonly requests: () => number }> {
  let requests = 0;
  const server: Server = createServer((_, response) => {
    requests++;
    response.writeHead(status, headers).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  publishers.keep({
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, requests: () => requests };
}

async function dataOf(prefix: string): Promise<unknown[]> {
  const events = await streamEvents(system.nats.url);
  return events.filter(({ topic }) => topic.startsWith(prefix)).map(({ data }) => data);
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

describe('services that die', () => {
  test('ingest killed (SIGKILL) again and again: each event is stored once, in the order of its topic', async () => {
    const publisher = open();
    let isDone = false;
    const killing = (async () => {
      for (let kills = 0; kills < 4; kills++) {
        await sleep(50 + 100 * Math.random());
        await system.ingest.kill('SIGKILL');
        await system.ingest.restart();
      }
      isDone = true;
    })();
    const answers = [];
    let count = 0;
    while (!isDone) {
      const calls = numbers(40).map(() => {
        const n = count++;
        return publisher.publish(`killed.${n % 8}`, { type: 'x', data: n });
      });
      answers.push(...(await Promise.all(calls)));
    }
    await killing;
    expect(new Set(answers.map(({ cursor }) => cursor)).size).toBe(count);
    const found = (await dataOf('killed.')) as number[];
    expect(found.toSorted((a, b) => a - b)).toEqual(numbers(count));
    for (let topic = 0; topic < 8; topic++) {
      const own = found.filter((n) => n % 8 === topic);
      expect(own).toEqual(own.toSorted((a, b) => a - b));
    }
  });

  test.each([true, false])(
    'ingest killed in a batch, keepOrder %s: each event is stored once, in order',
    async (keepOrder) => {
      const topic = `batch.${keepOrder}`;
      const events = numbers(keepOrder ? 2000 : 20_000).map((n) => ({
        topic: keepOrder ? `${topic}.${n % 50}` : topic,
        type: 'x',
        data: n,
      }));
      const storing = open().publishBatch(events, { keepOrder });
      for (const most of [200, 1000]) {
        await until(async () => (await dataOf(topic)).length >= most);
        await system.ingest.kill('SIGKILL');
        await system.ingest.restart();
      }
      const answers = await storing;
      expect(answers).toHaveLength(events.length);
      expect(await dataOf(topic)).toEqual(events.map(({ data }) => data));
    },
  );

  test('NATS killed and away for a while: what waits is stored when it is back', async () => {
    const publisher = open();
    await publisher.publish('away.0', { type: 'x', data: -1 });
    await system.nats.kill('SIGKILL');
    const calls = numbers(100).map((n) => {
      return publisher.publish(`away.${n % 5}`, { type: 'x', data: n });
    });
    await sleep(1000);
    await system.nats.restart();
    expect(await Promise.all(calls)).toHaveLength(100);
    const found = (await dataOf('away.')) as number[];
    expect(found.toSorted((a, b) => a - b)).toEqual([-1, ...numbers(100)]);
    for (let topic = 0; topic < 5; topic++) {
      const own = found.filter((n) => n >= 0 && n % 5 === topic);
      expect(own).toEqual(own.toSorted((a, b) => a - b));
    }
  });

  test('ingest that hangs: an attempt ends after its time, and a later one succeeds', async () => {
    const publisher = open({ attemptMs: 300 });
    await publisher.publish('hangs', { type: 'x', data: 0 });
    await freeze(system.ingest.pid);
    const call = publisher.publish('hangs', { type: 'x', data: 1 });
    await sleep(800);
    process.kill(system.ingest.pid, 'SIGCONT');
    expect(await call).toBeTruthy();
    expect(await dataOf('hangs')).toEqual([0, 1]);
  });
});

describe('answers that are lost', () => {
  test('event: is stored once, and the repeat says so', async () => {
    const relay = await relayTo(system.ingest.port);
    const publisher = open({ url: relay.url });
    relay.loseAnswers(3);
    const answer = await publisher.publish('lost', { type: 'x', data: 1 });
    expect(answer.duplicate).toBe(true);
    expect(await dataOf('lost')).toEqual([1]);
  });

  test('batch: is stored once, in order', async () => {
    const relay = await relayTo(system.ingest.port);
    const publisher = open({ url: relay.url });
    const events = numbers(3000).map((n) => ({ topic: 'lost-batch', type: 'x', data: n }));
    relay.loseAnswers(2);
    const answers = await publisher.publishBatch(events, { keepOrder: false });
    expect(answers.filter(({ duplicate }) => duplicate)).toHaveLength(1000);
    expect(await dataOf('lost-batch')).toEqual(numbers(3000));
  });
});

describe('answers that are not of ingest', () => {
  test.each<[number, string, Record<string, string>]>([
    [200, '<html>Maintenance</html>', {}],
    [201, '{}', {}],
    [204, '', {}],
    [302, '', { location: '/elsewhere' }],
    [404, 'no backend', {}],
    [502, 'bad gateway', {}],
    [201, 'x'.repeat(9_000_000), {}],
  ])('%i: tells nothing, so that the event is tried until its deadline', async (...answer) => {
    const proxy = await answering(...answer);
    const publisher = open({ url: proxy.url, deadlineMs: 400 });
    const failed = await publisher.publish('x', { type: 'x' }).catch((reason) => reason);
    const cause = publisherError('offline', { retryable: true });
    expect(failed).toEqual(publisherError('deadline_exceeded', { retryable: true, cause }));
    if (answer[1].length < 1000) expect(failed.message).toContain(`The answer is ${answer[0]}`);
    expect(failed.events).toEqual([expect.objectContaining({ topic: 'x', type: 'x' })]);
    expect(proxy.requests()).toBeGreaterThan(1);
  });

  test('no server: is tried until the deadline, and can be published again later', async () => {
    const [port] = await freePorts(1);
    const publisher = open({ url: `http://127.0.0.1:${port}`, deadlineMs: 300 });
    const failed = await publisher.publish('later', { type: 'x', data: 1 }).catch((one) => one);
    expect(failed).toEqual(
      publisherError('deadline_exceeded', { cause: publisherError('offline') }),
    );
    const again = open();
    expect(await again.publishBatch(failed.events)).toMatchObject([{ duplicate: false }]);
    expect(await again.publishBatch(failed.events)).toMatchObject([{ duplicate: true }]);
    expect(await dataOf('later')).toEqual([1]);
  });

  test('a server that accepts and says nothing: does not hold the call beyond its deadline', async () => {
    const silent = createTcpServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const publisher = open({ url: `http://127.0.0.1:${port}`, deadlineMs: 300 });
    await expect(publisher.publish('x', { type: 'x' })).rejects.toEqual(
      publisherError('deadline_exceeded'),
    );
    await publisher.close({ withinMs: 0 });
    silent.close();
  });
});

describe('limits of ingest', () => {
  test('429 with Retry-After: the event waits for so long, and is stored', async () => {
    const { nats } = system;
    const limited = await startService('ingest', {
      natsUrl: nats.url,
      env: {
        TIDEMARK_INGEST_PUBLISHES_PER_SECOND_MAX: '20',
        TIDEMARK_INGEST_BATCH_EVENTS_MAX: '20',
      },
    });
    publishers.keep(limited);
    const publisher = open({ url: limited.url, requestEventsMax: 5 });
    const calls = numbers(50).map((n) => publisher.publish(`slow.${n}`, { type: 'x', data: n }));
    expect(await Promise.all(calls)).toHaveLength(50);
    expect(await dataOf('slow.')).toHaveLength(50);
    expect(await limitHits(limited, 'publishes_per_second')).toBeGreaterThan(0);
  });

  test('batches that ingest takes less of: those that share a request are sent alone', async () => {
    const env = { TIDEMARK_INGEST_BATCH_EVENTS_MAX: '20' };
    const small = await startService('ingest', { natsUrl: system.nats.url, env });
    publishers.keep(small);
    const publisher = open({ url: small.url });
    const calls = numbers(200).map((n) => publisher.publish(`few.${n}`, { type: 'x', data: n }));
    expect(await Promise.all(calls)).toHaveLength(200);
    const events = numbers(30).map((n) => ({ topic: `too-many.${n}`, type: 'x', data: n }));
    await expect(publisher.publishBatch(events)).rejects.toEqual(publisherError('too_large'));
    const fitting = open({ url: small.url, requestEventsMax: 20 });
    expect(await fitting.publishBatch(events)).toHaveLength(30);
    expect(await dataOf('few.')).toHaveLength(200);
    expect(await dataOf('too-many.')).toHaveLength(30);
  });

  test('Retry-After beyond the deadline: the call ends at its deadline', async () => {
    const body = JSON.stringify({ code: 'limit_exceeded', message: 'Too much.', retryable: true });
    const limited = await answering(429, body, { 'retry-after': '3600' });
    const publisher = open({ url: limited.url, deadlineMs: 300 });
    await expect(publisher.publish('x', { type: 'x' })).rejects.toEqual(
      publisherError('deadline_exceeded', {
        cause: publisherError('limit_exceeded', { retryAfterMs: 3_600_000 }),
      }),
    );
    expect(limited.requests()).toBe(1);
    // Nothing is left behind: what follows on the topic is not held up.
    await publisher.close();
  });
});

describe('queue', () => {
  test('at its limit of events: a call rejects with queue_full, and what waits is kept', async () => {
    await system.ingest.kill('SIGKILL');
    const publisher = open({ queue: { eventsMax: 10 } });
    const calls = numbers(10).map((n) => publisher.publish(`full.${n}`, { type: 'x', data: n }));
    await expect(publisher.publish('full.10', { type: 'x' })).rejects.toEqual(
      publisherError('queue_full', { retryable: true }),
    );
    await system.ingest.restart();
    await Promise.all(calls);
    expect(await dataOf('full.')).toHaveLength(10);
    expect(await publisher.publish('full.10', { type: 'x' })).toBeTruthy();
  });

  test('at its limit of bytes: a call rejects with queue_full', async () => {
    const publisher = open({ queue: { bytesMax: 5000 } });
    const large = { type: 'x', data: 'x'.repeat(3000) };
    const first = publisher.publish('bytes', large);
    await expect(publisher.publish('bytes', large)).rejects.toEqual(publisherError('queue_full'));
    await first;
    await publisher.publish('bytes', large);
  });
});

describe('signal and close', () => {
  test('signal before: nothing is sent', async () => {
    const signal = AbortSignal.abort(new Error('gone'));
    await expect(open().publish('never', { type: 'x' }, { signal })).rejects.toThrow('gone');
    const events = [{ topic: 'never', type: 'x' }];
    await expect(open().publishBatch(events, { signal })).rejects.toThrow('gone');
    expect(await dataOf('never')).toEqual([]);
  });

  test('signal while it waits: rejects at once, and the next events of the topic go on', async () => {
    await system.ingest.kill('SIGKILL');
    const publisher = open();
    const first = publisher.publish('aborted', { type: 'x', data: 1 });
    const controller = new AbortController();
    const { signal } = controller;
    const second = publisher.publish('aborted', { type: 'x', data: 2 }, { signal });
    const third = publisher.publish('aborted', { type: 'x', data: 3 });
    controller.abort(new Error('enough'));
    await expect(second).rejects.toThrow('enough');
    await system.ingest.restart();
    await Promise.all([first, third]);
    expect(await dataOf('aborted')).toEqual([1, 3]);
  });

  test('close: stores what was given, and takes nothing more', async () => {
    const publisher = open();
    const calls = numbers(500).map((n) =>
      publisher.publish(`closing.${n % 7}`, { type: 'x', data: n }),
    );
    const closings = [publisher.close(), publisher.close()];
    await expect(publisher.publish('closing.x', { type: 'x' })).rejects.toEqual(
      publisherError('closed'),
    );
    await Promise.all(closings);
    expect(await dataOf('closing.')).toHaveLength(500);
    expect(await Promise.all(calls)).toHaveLength(500);
  });

  test('close within a time: what was not stored by then rejects with closed', async () => {
    await system.ingest.kill('SIGKILL');
    const publisher = open();
    const calls = numbers(20).map((n) =>
      publisher.publish(`late.${n % 3}`, { type: 'x', data: n }),
    );
    const outcomes = Promise.allSettled(calls);
    await publisher.close({ withinMs: 100 });
    for (const one of await outcomes) {
      expect(one).toMatchObject({ status: 'rejected', reason: { code: 'closed', events: [{}] } });
    }
    await system.ingest.restart();
  });

  test('disposed, as await using does: closes', async () => {
    const publisher = open();
    const calls = numbers(50).map((n) => publisher.publish('using', { type: 'x', data: n }));
    await publisher[Symbol.asyncDispose]();
    expect(await dataOf('using')).toEqual(numbers(50));
    await Promise.all(calls);
  });
});
