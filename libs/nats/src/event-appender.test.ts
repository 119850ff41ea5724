import { type Msg, NoRespondersError } from '@nats-io/transport-node';
import { type CloudEvent, encodeEvent, toEncoded } from '@tidemark/protocol';
import { createLogger, Metrics, startTracing } from '@tidemark/telemetry';
import { afterEach, expect, test, vi } from 'vitest';
import { EventAppender } from './event-appender.ts';
import { KnownEnd } from './known-end.ts';
import type { NatsLink, Receiver } from './link.ts';
import { newSealMetadata, SEAL_HEADER, StreamSeal } from './seal.ts';

/* Answers of NATS are planted: what the stream says of an append, and what it then has. */

const CREATED = '2026-01-02T03:04:05.000Z';
const EPOCH = Date.parse(CREATED).toString(36);
const EVENT: CloudEvent = {
  specversion: '1.0',
  id: '1',
  source: '/planted',
  type: 'planted',
  topic: 'planted',
};
const METADATA = newSealMetadata(0);
const SEAL = new StreamSeal();
SEAL.learn(METADATA);
const TIMEOUT_MS = 400;

const IN_PROCESS = refused(10_164, 'wrong last sequence');
const DUPLICATE_IN_PROCESS = refused(10_158, 'duplicate message id is in process');
const WRONG = refused(10_071, 'wrong last sequence: 7');
const NO_MESSAGE = { error: { code: 404, err_code: 10_037, description: 'no message found' } };

/** A text is what NATS sends; `silence` is no answer. */
type Reply = object | Error | string;

interface Planted {
  /** The answers to the appends in their order; the last one is repeated. */
  readonly appends: readonly Reply[];
  /** The answers about the topic's last event. The last one is repeated. */
  readonly last?: readonly Reply[];
  /** The event that the condition names. */
  readonly named?: Reply;
  readonly state?: { readonly first_seq: number; readonly last_seq: number };
  readonly replicas?: number;
  /** The topic's next event after the one in the condition. */
  readonly next?: Reply;
  /** The first message of any topic from a sequence on. */
  readonly beyond?: Reply;
}

let stopping = new AbortController();
afterEach(() => {
  stopping.abort();
  stopping = new AbortController();
});

function refused(err_code: number, description: string) {
  return { error: { code: err_code === 10_023 ? 503 : 400, err_code, description }, seq: 0 };
}

function stored(seq: number, more: object = {}) {
  return { stream: 'TIDEMARK_EVENTS', seq, ...more };
}

function found(seq: number, headers = '', subject = 'tidemark.events.planted') {
  return { message: { seq, subject, hdrs: Buffer.from(headers).toString('base64') } };
}

/** A message with the id of the event, and with other content where that is given. */
function original(seq: number, { content = EVENT as CloudEvent, sealed = true, id = '' } = {}) {
  const message = { subject: 'tidemark.events.planted', payload: encodeEvent(content) };
  const lines = [
    `Nats-Msg-Id: ${id || SEAL.messageId(EVENT)}`,
    ...(sealed ? [`${SEAL_HEADER}: ${SEAL.sign(message)}`] : []),
  ];
  const { message: planted } = found(seq, `NATS/1.0\r\n${lines.join('\r\n')}\r\n\r\n`);
  return { message: { ...planted, data: Buffer.from(message.payload).toString('base64') } };
}

function condition(sequence: number) {
  return { precondition: { epoch: EPOCH, sequence } };
}

/** What the planted server has of the topic and the stream. */
function answerTo(payload: string, planted: Planted, asked: () => number): Reply {
  const {
    last = [NO_MESSAGE],
    next = NO_MESSAGE,
    named = NO_MESSAGE,
    beyond = NO_MESSAGE,
  } = planted;
  if (payload.includes('tidemark.events.>')) return beyond;
  if (payload.includes('next_by_subj')) return next;
  if (!payload.includes('last_by_subj')) return named;
  return last[Math.min(asked(), last.length - 1)] ?? {};
}

async function appenderWith(planted: Planted) {
  const { appends, replicas = 1, state = { first_seq: 1, last_seq: 7 } } = planted;
  let sent = 0;
  let asked = 0;
  let receiver: Receiver | undefined;
  const publish = (
    _subject: string,
    _payload: Uint8Array,
    { reply: subject }: { reply: string },
  ) => {
    const reply = appends[Math.min(sent++, appends.length - 1)] ?? {};
    const isUnled = reply instanceof NoRespondersError;
    if (reply === 'silence') return;
    const text = typeof reply === 'string' ? reply : JSON.stringify(reply);
    const data = new TextEncoder().encode(isUnled ? '' : text);
    const message = { subject, data, ...(isUnled && { headers: { code: 503 } }) };
    queueMicrotask(() => receiver?.onMessage(message as unknown as Msg));
  };
  const request = vi.fn(async (subject: string, payload = '') => {
    let reply: Reply = {};
    if (subject.includes('STREAM.INFO')) {
      reply = {
        created: CREATED,
        config: { name: 'TIDEMARK_EVENTS', metadata: METADATA, num_replicas: replicas },
        state,
        cluster: { leader: 'a' },
      };
    } else if (subject.includes('MSG.GET')) {
      reply = answerTo(payload, planted, () => asked++);
    }
    if (reply instanceof Error) throw reply;
    const text = JSON.stringify(reply);
    return { data: new TextEncoder().encode(text), json: () => JSON.parse(text) };
  });
  const closed = () => new Promise(() => {});
  const connection = { request, publish, closed, options: {} };
  const link = {
    connected: true,
    connection,
    knownEnd: new KnownEnd(),
    seal: new StreamSeal(),
    apiPrefix: '$JS.API',
    apiSubject: (operation: string) => `$JS.API.${operation}`,
    onConnect: () => () => {},
    onPublishRefused: () => {},
    createInbox: () => '_INBOX.planted',
    subscribe: (subject: string, given: Receiver) => {
      if (subject.startsWith('_INBOX.')) receiver = given;
    },
  };
  const logger = createLogger('test', 'silent');
  const { tracer } = await startTracing({ service: 'test', environment: {}, logger });
  const metrics = new Metrics('test', { defaults: false });
  const appender = new EventAppender(link as unknown as NatsLink, {
    service: 'test',
    timeoutMs: TIMEOUT_MS,
    pendingMax: 10,
    logger,
    metrics,
    tracer,
    signal: stopping.signal,
  });
  return { appender, metrics, attempts: () => sent };
}

test('append, another one to the topic is in process, then not any more: stored', async () => {
  const { appender, attempts } = await appenderWith({
    appends: [IN_PROCESS, IN_PROCESS, stored(8)],
  });
  const appended = await appender.append(EVENT, condition(7));
  expect(appended).toEqual({ cursor: `${EPOCH}-8`, duplicate: false });
  expect(attempts()).toBe(3);
});

test.each([
  ['another append to the topic', IN_PROCESS],
  ['an earlier append of the event', DUPLICATE_IN_PROCESS],
])('append, %s stays in process: unavailable within the time, never refused', async (_, answer) => {
  const { appender, attempts } = await appenderWith({ appends: [answer], last: [found(7)] });
  const beganMs = performance.now();
  const append = appender.append(EVENT, condition(7));
  await expect(append).rejects.toMatchObject({
    code: 'unavailable',
    details: { retryAfterSeconds: 1 },
  });
  expect(performance.now() - beganMs).toBeLessThan(TIMEOUT_MS * 2);
  expect(attempts()).toBeGreaterThan(2);
});

test.each([
  ['names the topic as it is', condition(7), found(7)],
  ['demands an empty topic, and it is', { precondition: 'empty' as const }, NO_MESSAGE],
])('append, refused although the condition %s: unavailable', async (_, request, last) => {
  const { appender, attempts } = await appenderWith({ appends: [WRONG], last: [last] });
  await expect(appender.append(EVENT, request)).rejects.toMatchObject({ code: 'unavailable' });
  expect(attempts()).toBeGreaterThan(2);
});

test('append, refused once although the condition is right: the next attempt stores it', async () => {
  const { appender } = await appenderWith({ appends: [WRONG, stored(8)], last: [found(7)] });
  expect((await appender.append(EVENT, condition(7))).cursor).toBe(`${EPOCH}-8`);
});

test('append, the other one in process wins: refused with its cursor', async () => {
  const { appender } = await appenderWith({ appends: [IN_PROCESS, WRONG], last: [found(8)] });
  await expect(appender.append(EVENT, condition(7))).rejects.toMatchObject({
    code: 'precondition_failed',
    details: { cursor: `${EPOCH}-8` },
  });
});

test('append, the one in process is the same event: told as a duplicate', async () => {
  const { appender } = await appenderWith({
    appends: [IN_PROCESS, WRONG],
    next: original(8),
    last: [found(9)],
  });
  expect(await appender.append(EVENT, condition(7))).toEqual({
    cursor: `${EPOCH}-8`,
    duplicate: true,
  });
});

test('append, a server that lacks the event in the condition refuses it: the next attempt stores it', async () => {
  const { appender } = await appenderWith({
    appends: [WRONG, stored(8)],
    last: [found(5)],
    replicas: 3,
    state: { first_seq: 1, last_seq: 6 },
  });
  expect((await appender.append(EVENT, condition(7))).cursor).toBe(`${EPOCH}-8`);
});

test('append, the topic seems older than the event in the condition, which is there: unavailable', async () => {
  const { appender } = await appenderWith({
    appends: [WRONG],
    last: [found(5)],
    named: found(7),
  });
  await expect(appender.append(EVENT, condition(7))).rejects.toMatchObject({
    code: 'unavailable',
  });
});

test.each([
  ['is of another topic', { named: found(7, '', 'tidemark.events.other') }],
  ['has expired', { replicas: 3, state: { first_seq: 8, last_seq: 9 } }],
  ['was never stored, and there are no replicas', { state: { first_seq: 1, last_seq: 6 } }],
])('append, the event in the condition %s: refused at once', async (_, more) => {
  const { appender, attempts } = await appenderWith({
    appends: [WRONG],
    last: [found(5)],
    ...more,
  });
  await expect(appender.append(EVENT, condition(7))).rejects.toMatchObject({
    code: 'precondition_failed',
    details: { cursor: `${EPOCH}-5` },
  });
  expect(attempts()).toBe(1);
});

test.each([
  ['is the same', original(3)],
  ['has another time', original(3, { content: { ...EVENT, time: '2026-01-01T00:00:00Z' } })],
  ['has left the stream', NO_MESSAGE],
])('append, a duplicate whose original %s: told as a duplicate', async (_, named) => {
  const { appender } = await appenderWith({ appends: [stored(3, { duplicate: true })], named });
  const appended = await appender.append(EVENT);
  expect(appended).toEqual({ cursor: `${EPOCH}-3`, duplicate: true });
});

test.each([
  ['has other data', original(3, { content: { ...EVENT, data: 1 } })],
  ['has another type', original(3, { content: { ...EVENT, type: 'other' } })],
  ['is not from a service', original(3, { sealed: false })],
])('append, a duplicate whose original %s: conflict', async (_, named) => {
  const { appender } = await appenderWith({ appends: [stored(3, { duplicate: true })], named });
  await expect(appender.append(EVENT)).rejects.toMatchObject({ code: 'conflict' });
});

test('append, its earlier attempt under the condition had other data: conflict', async () => {
  const next = original(8, { content: { ...EVENT, data: 1 } });
  const { appender } = await appenderWith({ appends: [WRONG], next, last: [found(8)] });
  await expect(appender.append(EVENT, condition(7))).rejects.toMatchObject({ code: 'conflict' });
});

test('append, a duplicate, and another message is where the original was: sent again', async () => {
  const { appender, attempts } = await appenderWith({
    appends: [stored(3, { duplicate: true }), stored(8)],
    named: original(3, { id: 'other' }),
  });
  expect(await appender.append(EVENT)).toEqual({ cursor: `${EPOCH}-8`, duplicate: false });
  expect(attempts()).toBe(2);
});

test('append, a duplicate, and its original was erased: refused; one that has left the stream: a duplicate', async () => {
  const appends = [stored(3, { duplicate: true })];
  const erased = await appenderWith({ appends, beyond: found(4) });
  await expect(erased.appender.append(EVENT)).rejects.toMatchObject({ code: 'erased' });
  const retained = { appends, beyond: found(5), state: { first_seq: 5, last_seq: 7 } };
  const left = await appenderWith(retained);
  expect(await left.appender.append(EVENT)).toMatchObject({ duplicate: true });
});

test('append, refused, and the event that its condition names was erased in a replicated stream: told', async () => {
  const { appender } = await appenderWith({
    appends: [WRONG],
    last: [found(5)],
    replicas: 3,
    beyond: found(8),
  });
  await expect(appender.append(EVENT, condition(7))).rejects.toMatchObject({
    code: 'precondition_failed',
    details: { cursor: `${EPOCH}-5` },
  });
});

test('append, a duplicate, and the leader cannot be asked for the original: unavailable', async () => {
  const { appender } = await appenderWith({
    appends: [stored(3, { duplicate: true })],
    named: { error: { code: 503, err_code: 10_008, description: 'unavailable' } },
  });
  await expect(appender.append(EVENT)).rejects.toMatchObject({
    code: 'unavailable',
    details: { retryAfterSeconds: 1 },
  });
});

const LEADERLESS = { error: { code: 503, err_code: 10_008, description: 'unavailable' } };

test('append, refused, and a server without a leader answers first: told what the leader says', async () => {
  const last = [LEADERLESS, LEADERLESS, found(8)];
  const { appender } = await appenderWith({ appends: [WRONG], last });
  await expect(appender.append(EVENT, condition(7))).rejects.toMatchObject({
    code: 'precondition_failed',
    details: { cursor: `${EPOCH}-8` },
  });
});

test('append, refused, and the topic cannot be read: unavailable, not an empty topic', async () => {
  const { appender } = await appenderWith({ appends: [WRONG], last: [LEADERLESS] });
  await expect(appender.append(EVENT, condition(7))).rejects.toMatchObject({
    code: 'unavailable',
  });
});

const NO_SPACE = 'write /data/1.blk: no space left on device';

test.each([
  ['its limit is reached', refused(10_023, 'insufficient resources'), 'full'],
  ['its account is full', refused(10_002, 'resource limits exceeded for account'), 'full'],
  ['its disk is full', refused(10_077, NO_SPACE), 'full'],
  ['it is offline', refused(10_118, 'stream is offline'), 'offline'],
  ['nobody leads it', new NoRespondersError('a'), 'offline'],
])(
  'append, the stream stores nothing because %s: says so, and the metric too',
  async (_, answer, fault) => {
    const { appender, metrics } = await appenderWith({ appends: [answer] });
    const append = appender.append(EVENT);
    await expect(append).rejects.toMatchObject({
      code: 'unavailable',
      details: { retryAfterSeconds: 1 },
      message: fault === 'full' ? "The stream's store is full." : 'No server leads the stream.',
    });
    expect(appender.storing).toBe(false);
    expect(await metrics.registry.metrics()).toContain(`fault="${fault}",service="test"} 1`);
  },
);

const TOGETHER = ['1', '2', '3'].map((id) => toEncoded({ ...EVENT, id }));

test('several together, all stored: each has its own cursor, in their order', async () => {
  const { appender, attempts } = await appenderWith({
    appends: [stored(8), stored(9), stored(11)],
  });
  expect(await appender.appendAll(TOGETHER)).toEqual(
    [8, 9, 11].map((sequence) => ({ cursor: `${EPOCH}-${sequence}`, duplicate: false })),
  );
  expect(attempts()).toBe(3);
});

test('several together, each ends in another way: none has the fate of another', async () => {
  const { appender, attempts } = await appenderWith({
    // The second is in process at first, and is sent again alone.
    appends: [stored(3, { duplicate: true }), IN_PROCESS, stored(9), stored(10)],
    named: original(3, { content: { ...EVENT, data: 1 } }),
  });
  expect(await appender.appendAll(TOGETHER)).toMatchObject([
    { code: 'conflict', details: { cursor: `${EPOCH}-3` } },
    { cursor: `${EPOCH}-10`, duplicate: false },
    { cursor: `${EPOCH}-9`, duplicate: false },
  ]);
  expect(attempts()).toBe(4);
});

test('several together, one is not answered: that one is unavailable, in time', async () => {
  const { appender } = await appenderWith({ appends: [stored(8), 'silence', stored(9)] });
  const beganMs = performance.now();
  expect(await appender.appendAll(TOGETHER)).toMatchObject([
    { cursor: `${EPOCH}-8` },
    { code: 'unavailable', details: { retryAfterSeconds: 1 } },
    { cursor: `${EPOCH}-9` },
  ]);
  expect(performance.now() - beganMs).toBeLessThan(TIMEOUT_MS + 200);
  expect(appender.storing).toBe(true);
});

test('none together: nothing is sent, and nothing waited for', async () => {
  const { appender, attempts } = await appenderWith({ appends: [stored(8)] });
  expect(await appender.appendAll([])).toEqual([]);
  expect(attempts()).toBe(0);
});

test('several together, more than may wait: none is sent', async () => {
  const { appender, attempts } = await appenderWith({ appends: [stored(8)] });
  const many = Array.from({ length: 11 }, (_, n) => toEncoded({ ...EVENT, id: `${n}` }));
  await expect(appender.appendAll(many)).rejects.toMatchObject({ code: 'unavailable' });
  expect(attempts()).toBe(0);
});

test.each([
  ['no JSON', 'x'],
  ['no acknowledgement', {}],
  ['no sequence', { stream: 'TIDEMARK_EVENTS', seq: 0 }],
])('append, the answer is %s: unavailable', async (_, answer) => {
  const { appender } = await appenderWith({ appends: [answer] });
  await expect(appender.append(EVENT)).rejects.toMatchObject({ code: 'unavailable' });
});

test('append, time was spent already: it has the rest', async () => {
  const { appender } = await appenderWith({ appends: ['silence'] });
  const beganMs = performance.now();
  const append = appender.append(EVENT, { waitedMs: TIMEOUT_MS - 50 });
  await expect(append).rejects.toMatchObject({ code: 'unavailable' });
  expect(performance.now() - beganMs).toBeLessThan(TIMEOUT_MS - 50);
});
