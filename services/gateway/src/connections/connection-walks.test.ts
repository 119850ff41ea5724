import type { ConnectionInfo, ConnectionQuery } from '@tidemark/protocol';
import { expect, test } from 'vitest';
import { Stage } from '../../../../test/support/gateway-stage.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { Task } from '../scheduling/task-scheduler.ts';
import { ConnectionWalks } from './connection-walks.ts';
import type { Member } from './registry.ts';

const MEMBERS = 10_000;

/** What a visit, and the description of a connection, take of the simulated clock. */
const VISIT_MS = 0.0005;
const DESCRIBE_MS = 0.02;

const everything = { after: '', limit: 100, bytesMax: 1e6 };

function setUp(members = MEMBERS) {
  let nowMs = 0;
  let task: Task | undefined;
  const clock: Clock = { nowMs: () => nowMs, soon: () => {}, after: () => () => {} };
  const stage = new Stage(10);
  const { connection } = stage.connect([{ patterns: ['a'] }], 0);
  const describing = {
    get unsentBytes() {
      nowMs += DESCRIBE_MS;
      return 0;
    },
  };
  const all = Array.from({ length: members }, (_, n): Member => {
    const visited = Object.create(connection, {
      closed: {
        get() {
          nowMs += VISIT_MS;
          return false;
        },
      },
      // Private fields are those of the real one.
      context: { value: connection.context },
      sink: { value: describing },
      readers: { value: [] },
      states: { value: () => [] },
      position: { value: () => undefined },
      delivered: { value: 0 },
      fellBehind: { value: 0 },
    });
    return {
      // In no order, as random ids are.
      id: `c${String((n * 7919) % members).padStart(6, '0')}`,
      connection: visited,
      transport: n % 2 === 0 ? 'websocket' : 'sse',
      address: '',
      connectedMs: 0,
      lastReceivedMs: 0,
      principal: { subject: `u${n % 10}`, grants: [], admin: false, expiresAtMs: 0 },
    };
  });
  const walks = new ConnectionWalks({
    registry: { members: () => all.values(), size: all.length },
    tasks: {
      schedule: (one) => {
        task = one;
      },
    },
    clock,
    gateway: 'g',
    timeoutMs: 2000,
  });
  const answers: { items: ConnectionInfo[]; end: string | null; connections: number }[] = [];
  const slices: number[] = [];
  const runAll = () => {
    for (let more = task !== undefined; more; ) {
      const before = nowMs;
      more = task?.run(nowMs + 4) ?? false;
      slices.push(nowMs - before);
    }
  };
  const ask = (query: Partial<ConnectionQuery> = {}) => {
    walks.begin({ ...everything, ...query }, (json) => void answers.push(JSON.parse(json)));
  };
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { ask, walks, answers, slices, runAll, pass };
}

test('10,000 connections: the first in order, in slices of a millisecond', () => {
  const { ask, answers, slices, runAll } = setUp();
  ask({ limit: 1000 });
  runAll();
  const [answer] = answers;
  expect(answer).toMatchObject({ end: 'c000999', connections: MEMBERS });
  expect(answer?.items.map(({ connection }) => connection)).toEqual(
    Array.from({ length: 1000 }, (_, n) => `c${String(n).padStart(6, '0')}`),
  );
  expect(slices.length).toBeGreaterThan(20);
  expect(Math.max(...slices)).toBeLessThan(1.2);
});

test('page after page: each connection once, and the last says that it is the last', () => {
  const { ask, answers, runAll } = setUp(250);
  const seen: string[] = [];
  for (let after: string | null = ''; after !== null; ) {
    ask({ after });
    runAll();
    const answer = answers.pop();
    seen.push(...(answer?.items ?? []).map(({ connection }) => connection));
    after = answer?.end ?? null;
  }
  expect(seen).toHaveLength(250);
  expect(new Set(seen).size).toBe(250);
});

test('filters: only what was asked for; another gateway does not answer', () => {
  const { ask, answers, runAll } = setUp(200);
  ask({ sub: 'u3', transport: 'sse' });
  ask({ transport: 'websocket', sub: 'u3' });
  ask({ slow: true });
  ask({ gateway: 'another' });
  runAll();
  expect(answers.map(({ items }) => items.length)).toEqual([20, 0, 0]);
});

test('more bytes than the answer may have: it ends earlier, and has one at least', () => {
  const { ask, answers, runAll } = setUp(200);
  ask({ bytesMax: 3000 });
  ask({ bytesMax: 1 });
  runAll();
  const [first, second] = answers;
  expect(first?.items.length).toBeGreaterThan(1);
  expect(JSON.stringify(first?.items).length).toBeLessThan(3200);
  expect(first?.end).toBe(first?.items.at(-1)?.connection);
  expect(second?.items).toHaveLength(1);
});

test('more walks than may wait, and one that nobody waits for any more: no answer', () => {
  const { ask, answers, runAll, pass } = setUp(10);
  for (let n = 0; n < 20; n++) ask();
  runAll();
  expect(answers).toHaveLength(8);
  ask();
  pass(2000);
  runAll();
  expect(answers).toHaveLength(8);
});

test('what is no query: is ignored', () => {
  const { walks, answers, runAll } = setUp(10);
  for (const text of ['', 'no JSON', '{}', '{"after":"","limit":0,"bytesMax":1}']) {
    walks.answer(Buffer.from(text), () => answers.push({ items: [], end: null, connections: 0 }));
  }
  runAll();
  expect(answers).toEqual([]);
});
