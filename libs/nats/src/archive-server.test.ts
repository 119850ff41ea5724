import type { Msg, MsgHdrs } from '@nats-io/transport-node';
import { Steps } from '@tidemark/fairness';
import { TidemarkError } from '@tidemark/protocol';
import { createLogger } from '@tidemark/telemetry';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { askerHeaders } from './archive-requests.ts';
import { type ArchiveSource, serveArchive } from './archive-server.ts';
import type { NatsLink } from './link.ts';

const WORK_MS = 10;
const TIMEOUT_MS = 1000;
const ROOM_BYTES = 40_000;

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** An archive whose every search takes the same time, and which says for whom it made each. */
function createServer() {
  let receive: (request: Msg) => void = () => {};
  let turn: (() => void) | undefined;
  let nowMs = 0;
  const link = {
    subscribe: (_: string, { onMessage }: { onMessage: (request: Msg) => void }) => {
      receive = onMessage;
      return { drain: async () => {} };
    },
  } as unknown as NatsLink;
  const answers: string[] = [];
  const worked: number[] = [];
  const source = {
    sequenceBefore: (timeMs: number) => {
      nowMs += WORK_MS;
      worked.push(timeMs);
      return timeMs;
    },
  } as unknown as ArchiveSource;
  let held = 0;
  const room = {
    open: () => {
      let own = 0;
      return {
        take(bytes: number) {
          if (held + bytes > ROOM_BYTES) throw new TidemarkError('limit_exceeded', 'Full.');
          held += bytes;
          own = bytes;
        },
        release: () => {
          held -= own;
        },
      };
    },
  };
  const soon = (run: () => void): void => {
    turn = run;
  };
  const steps = new Steps({ nowMs: () => nowMs, soon });
  const logger = createLogger('test', 'silent');
  const served = serveArchive(link, source, { instance: 'i', logger, steps, room });
  /** The number stands for the request. */
  const send = (number: number, from: { process: string; headers?: MsgHdrs }): void => {
    const body = JSON.stringify({ timeMs: number });
    receive({
      subject: 'tidemark.archive.sequence-at.i',
      reply: `_INBOX.${from.process}.${number}`,
      ...(from.headers && { headers: from.headers }),
      data: Buffer.from(body),
      string: () => body,
      respond: (answer: string) => answers.push(answer),
    } as unknown as Msg);
  };
  const turnLoop = async (): Promise<void> => {
    const run = turn;
    turn = undefined;
    run?.();
    await vi.advanceTimersByTimeAsync(0);
  };
  const finish = async (): Promise<void> => {
    while (turn) await turnLoop();
  };
  return { send, turnLoop, finish, answers, worked, served, held: () => held };
}

function of(process: string, user?: string) {
  return { process, headers: askerHeaders(user, TIMEOUT_MS) };
}

test('server: a user with many requests, through two gateways: another one waits for one of each kind', async () => {
  const { send, finish, worked } = createServer();
  for (let n = 0; n < 20; n++) send(n, of(`gateway-${n % 2}`, 'greedy'));
  send(100, of('gateway-0', 'modest'));
  await finish();
  expect(worked.indexOf(100)).toBe(1);
  expect(worked).toHaveLength(21);
});

test('server: gateways that name no user: each is as one of its own', async () => {
  const { send, finish, worked, answers } = createServer();
  for (let n = 0; n < 20; n++) send(n, { process: 'old-1' });
  send(100, { process: 'old-2' });
  send(200, of('new', 'modest'));
  await finish();
  expect(worked.slice(0, 3).sort()).toEqual([0, 100, 200]);
  expect(answers).toHaveLength(22);
});

test('server: what has waited for as long as it may: says so before its time-out, and is not worked for', async () => {
  const { send, finish, worked, answers, held } = createServer();
  send(1, of('gateway', 'a'));
  await vi.advanceTimersByTimeAsync(0.9 * TIMEOUT_MS);
  expect(answers.map((answer) => JSON.parse(answer).error.code)).toEqual(['limit_exceeded']);
  send(2, of('gateway', 'a'));
  await finish();
  expect(worked).toEqual([2]);
  expect(held()).toBe(0);
});

test('server: more than there is room for: refused at once, and what waits is answered', async () => {
  const { send, finish, worked, answers, held } = createServer();
  for (let n = 0; n < 100; n++) send(n, of('gateway', 'a'));
  await vi.advanceTimersByTimeAsync(0);
  const refused = answers.length;
  expect(refused).toBeGreaterThan(50);
  await finish();
  expect(worked).toHaveLength(100 - refused);
  expect(answers).toHaveLength(100);
  expect(held()).toBe(0);
});

test('server: stops: once what waits has been answered', async () => {
  const { send, turnLoop, finish, served } = createServer();
  for (let n = 0; n < 3; n++) send(n, of('gateway', 'a'));
  let stopped = false;
  void served.stop().then(() => {
    stopped = true;
  });
  await turnLoop();
  expect(stopped).toBe(false);
  await finish();
  expect(stopped).toBe(true);
});
