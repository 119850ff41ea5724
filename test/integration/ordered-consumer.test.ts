import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { type Msg, headers as natsHeaders } from '@nats-io/transport-node';
import { readReplayConfiguration } from '@tidemark/config';
import {
  type Backlog,
  CONSUMER_HEARTBEAT_MS,
  eraseFromStream,
  Feed,
  type LogRecord,
  NatsLink,
  OrderedConsumer,
  PlainHeaders,
  parseDelivery,
  reconcileStream,
  type Scheduler,
  STREAM_NAME,
} from '@tidemark/nats';
import { createLogger } from '@tidemark/telemetry';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { until } from '../support/until.ts';

/* The one way in which the stream is read, against a real server. */

/** Between two looks at whether the server has said anything. */
const WATCH_MS = 2 * CONSUMER_HEARTBEAT_MS;

const logger = createLogger('test', 'silent');
let nats: NatsServer;
let link: NatsLink;
let stored = 0;
beforeAll(async () => {
  nats = await startNatsServer();
  link = await new NatsLink({ servers: nats.url, name: 'test', logger }).connect();
  await reconcileStream(link, readReplayConfiguration({}), logger);
});
afterAll(async () => {
  await link.close();
  await nats.stop();
});

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
  vi.useRealTimers();
});

async function store(count: number, payload: Uint8Array | string = '{}', options = {}) {
  const stream = jetstream(link.connection);
  for (let left = count; left > 0; left -= 200) {
    const some = Array.from({ length: Math.min(left, 200) }, () =>
      stream.publish('tidemark.events.a', payload, { timeout: 20_000, ...options }),
    );
    const acks = await Promise.all(some);
    stored = Math.max(stored, ...acks.map(({ seq }) => seq));
  }
}

/** Publishes a message without a payload whose headers are these bytes. */
async function publishRaw(head: string): Promise<void> {
  const socket = connect(nats.port, '127.0.0.1');
  socket.write('CONNECT {"verbose":false,"headers":true}\r\n');
  socket.write(`HPUB tidemark.events.a ${head.length} ${head.length}\r\n${head}\r\nPING\r\n`);
  let said = '';
  socket.on('data', (bytes) => {
    said += bytes;
  });
  await until(() => said.includes('PONG'));
  socket.destroy();
}

async function read(after: number, scheduler?: Scheduler) {
  const sequences: number[] = [];
  const lost: string[] = [];
  const consumer = new OrderedConsumer(link, {
    start: { after },
    timeoutMs: 5000,
    ...(scheduler && { scheduler }),
    onRecord: ({ sequence }) => sequences.push(sequence),
    onLost: (reason) => lost.push(reason),
  });
  cleanups.push(() => consumer.close());
  await consumer.open();
  return { sequences, lost };
}

describe('ordered consumer', () => {
  test('reader is held for longer than a silent server is given: it goes on where it stood', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const before = stored;
    await store(5000);
    const tasks = new Set<Backlog>();
    const scheduler: Scheduler = {
      nowMs: () => performance.now(),
      schedule: (task) => void tasks.add(task),
    };
    const { sequences, lost } = await read(before, scheduler);
    const work = () => {
      for (const task of tasks) task.run(Number.POSITIVE_INFINITY);
    };
    await until(() => tasks.size > 0);
    vi.advanceTimersByTime(3 * WATCH_MS);
    expect({ sequences, lost }).toEqual({ sequences: [], lost: [] });
    await until(() => {
      work();
      return sequences.length === 5000 || lost.length > 0;
    });
    // Nothing is left but heartbeats, which wait for the held reader like messages.
    tasks.clear();
    await until(() => tasks.size > 0);
    vi.advanceTimersByTime(3 * WATCH_MS);
    work();
    expect(sequences.at(-1)).toBe(before + 5000);
    expect(lost).toEqual([]);
    // Now the server's time runs: two looks in a row at which it has said nothing.
    vi.advanceTimersByTime(2 * WATCH_MS);
    expect(lost).toEqual(['no heartbeat of the consumer']);
  });

  test('closed while it opens: nothing of it stays', async () => {
    const timers = () =>
      process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    const never = () => expect.unreachable();
    const options = { start: { after: 0 }, timeoutMs: 5000, onRecord: never, onLost: never };
    const opening = Array.from({ length: 20 }, () => {
      const consumer = new OrderedConsumer(link, options);
      const opened = consumer.open();
      consumer.close();
      return opened.catch(String);
    });
    await Promise.all(opening);
    await until(() => timers() < before + 10);
  });

  test('a stored message that looks like a status: is a message', async () => {
    const before = stored;
    await publishRaw('NATS/1.0 503\r\n\r\n');
    await publishRaw('NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 99\r\n\r\n');
    await store(1);
    const { sequences, lost } = await read(before);
    await until(() => sequences.length === 3 || lost.length > 0);
    expect({ sequences, lost }).toEqual({
      sequences: [before + 1, before + 2, before + 3],
      lost: [],
    });
  });

  test('a sealed message: neither its headers nor a subject seen before are decoded', async () => {
    const before = stored;
    const subject = 'tidemark.events.a';
    const payload = Buffer.from('{"id":"1"}');
    const headers = natsHeaders();
    headers.set('Nats-Msg-Id', 'plain');
    headers.set('tidemark-seal', link.seal.sign({ subject, payload }));
    await store(1, payload, { headers });
    await store(1, payload, { headers: natsHeaders(), msgID: 'unsealed' });
    const records: LogRecord[] = [];
    const consumer = new OrderedConsumer(link, {
      start: { after: before },
      timeoutMs: 5000,
      onRecord: (record) => records.push(record),
      onLost: () => {},
    });
    cleanups.push(() => consumer.close());
    await consumer.open();
    await until(() => records.length === 2);
    const [sealed, unsealed] = records;
    expect(sealed).toMatchObject({ subject, topic: 'a', trust: 'sealed', sequence: before + 1 });
    expect(unsealed).toMatchObject({ subject, topic: 'a', trust: 'none', sequence: before + 2 });
    // It is what makes reading cheap, and what a new version of the NATS client may end.
    expect(sealed?.headers).toBeInstanceOf(PlainHeaders);
    expect(unsealed?.subject).toBe(sealed?.subject);
    expect(sealed?.headers.get('nats-msg-id')).toBe('plain');
  });

  test('a header that the NATS client refuses to decode: the message has none, and the next one comes', async () => {
    const before = stored;
    await publishRaw('NATS/1.0\r\na b: x\r\n\r\n');
    await publishRaw('NATS/1.0\r\na: x\ry\r\n\r\n');
    await store(1);
    const { sequences, lost } = await read(before);
    await until(() => sequences.length === 3 || lost.length > 0);
    expect({ sequences, lost }).toEqual({
      sequences: [before + 1, before + 2, before + 3],
      lost: [],
    });
  });

  test('messages of one size, 64 of which are 4 MiB to the byte: no request is lost', async () => {
    // From here on the numbers that the server reckons as part of a message keep their digits.
    await store(Math.max(0, 1000 - stored));
    const payload = Buffer.alloc(65_536 - (await overheadBytes()));
    const { sequences, lost } = await read(stored);
    for (let count = 1; count <= 500; count++) {
      await store(1, payload);
      await until(() => sequences.length === count || lost.length > 0);
      expect(lost).toEqual([]);
    }
  });
});

describe('a record that cannot be processed', () => {
  test('consumer: it is lost, and the fault is counted', async () => {
    const { faults } = link;
    const before = stored;
    await store(3);
    const seen: number[] = [];
    const lost: string[] = [];
    const consumer = new OrderedConsumer(link, {
      start: { after: before },
      timeoutMs: 5000,
      onRecord({ sequence }) {
        seen.push(sequence);
        if (sequence === before + 2) throw new Error('busy');
      },
      onLost: (reason) => lost.push(reason),
    });
    await consumer.open();
    await until(() => lost.length > 0);
    expect(lost).toEqual(['a message was not processed: Error: busy']);
    expect(seen).toEqual([before + 1, before + 2]);
    expect(link.faults).toBe(faults + 1);
  });

  test('feed: starts again at it, ever more slowly, until it can be processed', async () => {
    const before = stored;
    await store(5);
    let processed = before;
    let tries = 0;
    let broken = true;
    const feed = new Feed({
      link,
      logger,
      onStart: () => processed,
      onRecord({ sequence }) {
        if (broken && sequence === before + 3) {
          tries++;
          throw new Error('busy');
        }
        expect(sequence).toBe(processed + 1);
        processed = sequence;
      },
    });
    cleanups.push(() => feed.stop());
    feed.start();
    await sleep(2000);
    expect(tries).toBeGreaterThan(1);
    // At 0, 100, 300, 700 and 1500 ms.
    expect(tries).toBeLessThanOrEqual(5);
    broken = false;
    await until(() => processed === before + 5);
  });
});

/** What the server adds to a payload for where it stands: of a message and a consumer beyond 100. */
async function overheadBytes(): Promise<number> {
  const { connection } = link;
  const { consumers } = await jetstreamManager(connection);
  const { name } = await consumers.add(STREAM_NAME, { ack_policy: AckPolicy.None });
  const [message] = await new Promise<Msg[]>((resolve) => {
    const reply = link.createInbox();
    connection.subscribe(reply, { max: 1, callback: (_error, one) => resolve([one]) });
    connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${STREAM_NAME}.${name}`, '1', { reply });
  });
  await consumers.delete(STREAM_NAME, name);
  const { subject = '', reply = '' } = message ?? {};
  const { streamSequence, consumerSequence, pending } = parseDelivery(reply);
  const digits = `${streamSequence}${consumerSequence}${pending}`.length;
  return subject.length + reply.length - digits + `${1000}${100}${0}`.length;
}

describe('holes', () => {
  /** Erases some of the last messages. @returns the sequence before all of them, and what is gone */
  async function storeWithHoles(count: number): Promise<{ before: number; gone: Set<number> }> {
    // An older message shows that retention has taken none.
    await store(1);
    const before = stored;
    await store(count);
    const gone = new Set<number>();
    for (let n = 1; n < count; n += n % 40 === 1 ? 1 : 39) gone.add(before + n);
    for (const sequence of gone) await eraseFromStream(link, sequence);
    return { before, gone };
  }

  function expected(before: number, gone: ReadonlySet<number>): number[] {
    const all = Array.from({ length: stored - before }, (_, index) => before + index + 1);
    return all.filter((sequence) => !gone.has(sequence));
  }

  test.each([
    ['on arrival', undefined],
    ['in turns', { nowMs: () => 0, schedule: (task) => setImmediate(() => task.run(1)) }],
  ] as [string, Scheduler | undefined][])(
    'feed that processes %s, erased messages: told of each once, in order with the records, for few requests',
    async (_, scheduler) => {
      const { before, gone } = await storeWithHoles(2500);
      const told: number[] = [];
      const read: number[] = [];
      const asked = vi.spyOn(link.knownEnd, 'check');
      const feed = new Feed({
        link,
        logger,
        ...(scheduler && { scheduler }),
        onStart: () => before,
        onRecord: ({ sequence }) => read.push(sequence),
        onErased: ({ from, to }) => {
          expect(from).toBe(Math.max(before, ...told.slice(-1), ...read.slice(-1)) + 1);
          for (let sequence = from; sequence <= to; sequence++) told.push(sequence);
        },
      });
      cleanups.push(() => feed.stop());
      feed.start();
      await until(() => read.at(-1) === stored);
      expect(read).toEqual(expected(before, gone));
      expect(told).toEqual([...gone]);
      expect(asked.mock.calls.length).toBeLessThan(12);
      // Live, with nothing behind it.
      const next = stored + 1;
      await store(3);
      await until(() => read.at(-1) === next + 2);
    },
  );

  test.each([
    ['was left by retention: nobody is told, and the records arrive', 'retention'],
    ['cannot be judged: the consumer is lost where it came to it', 'fault'],
  ])('a hole that %s', async (_, why) => {
    const { before, gone } = await storeWithHoles(200);
    const sequences: number[] = [];
    const lost: string[] = [];
    const consumer = new OrderedConsumer(link, {
      start: { after: before + 1 },
      timeoutMs: 5000,
      holes: {
        judge: async () => {
          if (why === 'fault') throw new Error('NATS is away.');
          return { firstSequence: Number.MAX_SAFE_INTEGER, forArrived: true };
        },
        onErased: () => expect.unreachable(),
      },
      onRecord: ({ sequence }) => sequences.push(sequence),
      onLost: (reason) => lost.push(reason),
    });
    cleanups.push(() => consumer.close());
    await consumer.open();
    if (why === 'fault') {
      await until(() => lost.length === 1);
      expect(lost[0]).toContain('NATS is away');
      expect(sequences.every((sequence) => sequence < Math.min(...[...gone].slice(2)))).toBe(true);
    } else {
      await until(() => sequences.at(-1) === stored);
      expect(sequences).toEqual(expected(before + 1, gone));
    }
  });
});
