import { createLogger } from '@tidemark/telemetry';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { KnownEnd } from './known-end.ts';
import type { NatsLink } from './link.ts';
import type { Refusal } from './refusals.ts';
import { StreamSeal } from './seal.ts';
import { StoreWatch } from './store-watch.ts';

const BELIEVED_MS = 30_000;

let stopping: AbortController;
beforeEach(() => {
  stopping = new AbortController();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  stopping.abort();
  vi.useRealTimers();
});

/** A watch of a stream that the test changes. Without a leader, its three servers know of none. */
function watchOf(stream: { lastSequence: number; answers: boolean; leaderless?: boolean }) {
  const request = async () => {
    if (!stream.answers) throw new Error('timeout');
    const config = { name: 'TIDEMARK_EVENTS', num_replicas: stream.leaderless ? 3 : 1 };
    const text = JSON.stringify({
      created: '2026-01-02T03:04:05Z',
      config,
      state: { first_seq: 1, last_seq: stream.lastSequence },
      cluster: {},
    });
    return { data: new TextEncoder().encode(text), json: () => JSON.parse(text) };
  };
  let connected = () => {};
  const link = {
    connected: true,
    connection: { request, options: {} },
    knownEnd: new KnownEnd(),
    seal: new StreamSeal(),
    apiSubject: (operation: string) => `$JS.API.${operation}`,
    onConnect: (listener: () => void) => {
      connected = listener;
      return () => {};
    },
  } as unknown as NatsLink;
  const logger = createLogger('test', 'silent');
  const began = vi.spyOn(logger, 'error');
  const ended = vi.spyOn(logger, 'info');
  const watch = new StoreWatch({ link, logger, signal: stopping.signal });
  return { watch, began, ended, reconnect: () => connected() };
}

/** An append that is sent now and has no answer. */
async function timeOut(watch: StoreWatch, refusal: Refusal = 'silent'): Promise<void> {
  const sentMs = performance.now();
  await vi.advanceTimersByTimeAsync(1500);
  watch.noteRefused(refusal, sentMs);
  await vi.advanceTimersByTimeAsync(1);
}

test('store watch, two appends without an answer, the stream stands still: stuck, logged once', async () => {
  const { watch, began } = watchOf({ lastSequence: 7, answers: true });
  await timeOut(watch);
  expect(watch.storing).toBe(true);
  for (let n = 0; n < 5; n++) await timeOut(watch);
  expect(watch).toMatchObject({ fault: 'stuck', storing: false });
  expect(began).toHaveBeenCalledOnce();
});

test('store watch, an append stays in process for all of its time, the stream stands still: stuck', async () => {
  const { watch } = watchOf({ lastSequence: 7, answers: true });
  await timeOut(watch);
  await timeOut(watch, 'in_process');
  expect(watch).toMatchObject({ fault: 'stuck', storing: false });
});

test('store watch, full, and then nobody leads the stream: still told as full', () => {
  const { watch } = watchOf({ lastSequence: 7, answers: true });
  watch.noteRefused('full', performance.now());
  watch.noteRefused('offline', performance.now());
  expect(watch.fault).toBe('full');
});

test('store watch, appends without an answer while the stream goes on: only slow', async () => {
  const stream = { lastSequence: 7, answers: true };
  const { watch, began } = watchOf(stream);
  for (let n = 0; n < 5; n++) {
    await timeOut(watch);
    stream.lastSequence++;
  }
  expect(watch.storing).toBe(true);
  expect(began).not.toHaveBeenCalled();
});

test('store watch, stuck: ends when another process has stored an event', async () => {
  const stream = { lastSequence: 7, answers: true };
  const { watch, ended } = watchOf(stream);
  for (let n = 0; n < 3; n++) await timeOut(watch);
  stream.lastSequence = 8;
  await vi.advanceTimersByTimeAsync(3000);
  expect(watch).toMatchObject({ fault: undefined, storing: true });
  expect(ended).toHaveBeenCalledOnce();
});

test('store watch, stuck: ends when the server is started again', async () => {
  const { watch, reconnect } = watchOf({ lastSequence: 7, answers: true });
  for (let n = 0; n < 3; n++) await timeOut(watch);
  reconnect();
  expect(watch).toMatchObject({ fault: undefined, storing: true });
});

test.each([
  ['no server answers', { answers: false }, { answers: true }],
  ['the servers know no leader', { answers: true, leaderless: true }, { leaderless: false }],
])(
  'store watch, an append without an answer, and %s: offline until one does',
  async (_, away, back) => {
    const stream = { lastSequence: 7, ...away };
    const { watch } = watchOf(stream);
    await timeOut(watch);
    expect(watch).toMatchObject({ fault: 'offline', storing: false });
    await vi.advanceTimersByTimeAsync(BELIEVED_MS / 2);
    expect(watch.storing).toBe(false);
    Object.assign(stream, back);
    await vi.advanceTimersByTimeAsync(3000);
    expect(watch).toMatchObject({ fault: undefined, storing: true });
  },
);

test('store watch, full: ends after a stored event, if no further one is refused', async () => {
  const { watch, began, ended } = watchOf({ lastSequence: 7, answers: true });
  // Small events still fit, large ones do not.
  for (let n = 0; n < 20; n++) {
    watch.noteRefused('full', performance.now());
    await vi.advanceTimersByTimeAsync(400);
    watch.noteStored();
    expect(watch.storing).toBe(false);
  }
  expect(began).toHaveBeenCalledOnce();
  expect(ended).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(3000);
  expect(watch.storing).toBe(true);
  expect(ended).toHaveBeenCalledOnce();
});

test.each([
  ['full', true],
  ['offline', false],
] as const)(
  'store watch, %s, and no append any more: appends are let in again, the fault goes on',
  async (fault, answers) => {
    const { watch } = watchOf({ lastSequence: 7, answers });
    watch.noteRefused(fault, performance.now());
    await vi.advanceTimersByTimeAsync(BELIEVED_MS - 1000);
    expect(watch.storing).toBe(false);
    await vi.advanceTimersByTimeAsync(2000);
    expect(watch).toMatchObject({ fault, storing: true });
    watch.noteRefused(fault, performance.now());
    expect(watch.storing).toBe(false);
  },
);
