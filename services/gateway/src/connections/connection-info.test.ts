import type { Principal } from '@tidemark/auth';
import { LISTED_MAX } from '@tidemark/protocol';
import { describe, expect, test } from 'vitest';
import { Stage } from '../../../../test/support/gateway-stage.ts';
import type { Connection } from './connection.ts';
import { describeMember } from './connection-info.ts';

const TAIL_EVENTS = 100;

function infoOf(connection: Connection) {
  const principal: Principal = { subject: 'u', grants: [], admin: false, expiresAtMs: 60_000 };
  const common = { transport: 'websocket', address: '10.0.0.1', connectedMs: 0 } as const;
  const member = { id: 'c', connection, principal, lastReceivedMs: 0, ...common };
  return describeMember(member, 'gateway-1');
}

function publish(stage: Stage, events: number): void {
  for (let n = 0; n < events; n++) stage.publish({ topic: 'a', type: 't' });
}

describe('what an operator is told of a connection', () => {
  test('at the head: live, nothing behind, not slow', async () => {
    const stage = new Stage(TAIL_EVENTS);
    publish(stage, 3);
    const { connection } = stage.connect([{ patterns: ['a'], types: ['t'] }], 3);
    await stage.settle();
    expect(infoOf(connection)).toEqual({
      connection: 'c',
      gateway: 'gateway-1',
      sub: 'u',
      transport: 'websocket',
      connectedAt: '1970-01-01T00:00:00.000Z',
      tokenExpiresAt: '1970-01-01T00:01:00.000Z',
      address: '10.0.0.1',
      subscriptions: [
        {
          ...{ id: '0', topics: ['a'], types: ['t'], deliver: 'all', state: 'live' },
          ...{ cursor: 'e-3', behind: 0 },
        },
      ],
      cursor: 'e-3',
      behind: 0,
      unsentBytes: 0,
      delivered: 0,
      fellBehind: 0,
      slow: null,
    });
    expect(stage.core.behind.size).toBe(0);
  });

  test('a live one whose socket fills: slow since then, with what is unsent, until it is at the head', async () => {
    const stage = new Stage(TAIL_EVENTS);
    const socket = { writable: true, unsentBytes: 0 };
    const { connection } = stage.connect([{ patterns: ['a'] }], 0, socket);
    await stage.settle();
    Object.assign(socket, { writable: false, unsentBytes: 50_000 });
    publish(stage, 5);
    await stage.settle();
    stage.nowMs += 1234;
    expect(infoOf(connection)).toMatchObject({
      ...{ behind: 5, unsentBytes: 50_000, fellBehind: 1, cursor: 'e-0' },
      slow: { reason: 'socket-full', sinceMs: 1234 },
      subscriptions: [{ state: 'catching-up', behind: 5, cursor: 'e-0' }],
    });
    expect([stage.core.behind.size, stage.core.behind.slow]).toEqual([1, 1]);
    Object.assign(socket, { writable: true, unsentBytes: 0 });
    // It may write again and has not yet done so.
    expect(infoOf(connection).slow).toEqual({
      ...{ reason: 'catching-up', tier: 'tail', sinceMs: 1234 },
    });
    connection.drained();
    await stage.settle();
    expect(infoOf(connection)).toMatchObject({
      behind: 0,
      slow: null,
      delivered: 5,
      fellBehind: 1,
    });
    expect([stage.core.behind.size, stage.core.behind.slow]).toEqual([0, 0]);
  });

  test('one that begins far behind: catches up and is not slow; while the stream is read, that is why once it is', async () => {
    const stage = new Stage(10);
    publish(stage, 50);
    const socket = { writable: true, unsentBytes: 0 };
    const { connection } = stage.connect([{ patterns: ['a'] }], 0, socket);
    expect(infoOf(connection)).toMatchObject({
      slow: null,
      behind: 50,
      subscriptions: [{ state: 'catching-up', cursor: 'e-0' }],
    });
    expect([stage.core.behind.size, stage.core.behind.slow]).toEqual([1, 0]);
    const seen: unknown[] = [];
    stage.onRead = () => seen.push(infoOf(connection).slow);
    connection.waitsForSocket();
    await stage.settle();
    expect(seen[0]).toEqual({ reason: 'cold-read', sinceMs: 0 });
    expect(stage.core.behind.size).toBe(0);
  });

  test('one that ends while it is slow: is not counted any more', async () => {
    const stage = new Stage(TAIL_EVENTS);
    const socket = { writable: true, unsentBytes: 0 };
    const { connection } = stage.connect([{ patterns: ['a'] }], 0, socket);
    await stage.settle();
    socket.writable = false;
    publish(stage, 5);
    await stage.settle();
    connection.unsubscribe('0');
    expect([stage.core.behind.size, stage.core.behind.slow]).toEqual([0, 0]);
    const another = stage.connect([{ patterns: ['a'] }], 0, socket).connection;
    await stage.settle();
    expect(stage.core.behind.slow).toBe(1);
    another.close('stalled', '');
    expect([stage.core.behind.size, stage.core.behind.slow]).toEqual([0, 0]);
  });

  test('more subscriptions, topics and types than are listed: the rest is counted', async () => {
    const stage = new Stage(TAIL_EVENTS);
    const names = Array.from({ length: LISTED_MAX + 3 }, (_, n) => `n${n}`);
    const many = { patterns: names, types: names };
    const wishes = [many, ...names.map((name) => ({ patterns: [`other.${name}`] }))];
    const { connection } = stage.connect(wishes, 0);
    await stage.settle();
    const { subscriptions, subscriptionsLeftOut } = infoOf(connection);
    expect(subscriptions).toHaveLength(LISTED_MAX);
    expect(subscriptionsLeftOut).toBe(4);
    expect(subscriptions[0]).toMatchObject({ topicsLeftOut: 3, typesLeftOut: 3 });
    expect(subscriptions[0]?.topics).toHaveLength(LISTED_MAX);
  });
});
