import type { Principal } from '@tidemark/auth';
import type { CloseReason } from '@tidemark/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createCore } from '../core.ts';
import type { Sink } from '../fan-out/sink.ts';
import type { Clock } from '../scheduling/clock.ts';
import { webSocketEncoder } from '../transports/websocket/encoder.ts';
import { Connection } from './connection.ts';
import type { ConnectionObserver } from './observer.ts';
import { type Member, Registry } from './registry.ts';

const HEARTBEAT_MS = 1000;
const IDLE_TIMEOUT_MS = 3000;
const STALL_TIMEOUT_MS = 10_000;
const GRACE_MS = 70;

/** A clock that moves only when the test moves it. */
class ManualClock implements Clock {
  #nowMs = 0;
  readonly #due: { atMs: number; task: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  soon(task: () => void): void {
    this.after(0, task);
  }

  after(ms: number, task: () => void): () => void {
    const one = { atMs: this.#nowMs + ms, task };
    this.#due.push(one);
    return () => {
      const index = this.#due.indexOf(one);
      if (index !== -1) this.#due.splice(index, 1);
    };
  }

  pass(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      this.#due.sort((left, right) => left.atMs - right.atMs);
      const [next] = this.#due;
      if (!next || next.atMs > endMs) break;
      this.#due.shift();
      this.#nowMs = next.atMs;
      next.task();
    }
    this.#nowMs = endMs;
  }
}

class RecordingSink implements Sink {
  writable = true;
  unsentBytes = 0;
  takenBytes = 0;
  pings = 0;
  closed: CloseReason | undefined;

  write(bytes: Uint8Array): boolean {
    if (this.writable) this.takenBytes += bytes.length;
    return true;
  }

  ping(): void {
    this.pings++;
  }

  close(reason: CloseReason): void {
    this.closed = reason;
  }
}

const observer: ConnectionObserver = {
  subscribed: () => undefined,
  unsubscribed: () => {},
  gap: () => {},
  closing: () => {},
};

const away = () => Promise.reject(new Error('There is nothing below the tail here.'));

let clock: ManualClock;
let sink: RecordingSink;
let registry: Registry;
let member: Member;

function principal(expiresAtMs: number): Principal {
  return { subject: 'a', grants: [], admin: false, expiresAtMs };
}

beforeEach(() => {
  clock = new ManualClock();
  sink = new RecordingSink();
  const tier = {
    connected: true,
    bounds: away,
    boundsReaching: away,
    readSlice: away,
    readSlices: away,
    readPage: away,
    findLast: away,
    readEvents: away,
    sequenceBefore: away,
  };
  const context = createCore({
    stream: tier,
    archive: tier,
    clock,
    tail: { bytesMax: 1_000_000, eventsMax: 1000 },
    coldReadsMax: 1,
    coldWaitMs: 0,
  });
  registry = new Registry({
    clock,
    tasks: context.tasks,
    counters: context.counters,
    connectionsMax: 1,
    heartbeatMs: HEARTBEAT_MS,
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    stallTimeoutMs: STALL_TIMEOUT_MS,
    tokenGraceMs: GRACE_MS,
    wallMs: () => clock.nowMs(),
  });
  member = {
    id: 'c',
    connection: new Connection({ context, user: 'u', sink, encoder: webSocketEncoder, observer }),
    transport: 'websocket',
    address: '127.0.0.1',
    connectedMs: 0,
    principal: principal(Number.POSITIVE_INFINITY),
    lastReceivedMs: 0,
  };
});

/** Lets time pass for a peer that answers each ping. */
function passHeard(ms: number): void {
  for (let left = ms; left > 0; left -= 10) {
    member.lastReceivedMs = clock.nowMs();
    clock.pass(Math.min(left, 10));
  }
}

describe('registry', () => {
  beforeEach(() => registry.addMember(member));

  test('peer that answers nothing: pinged, then closed as unresponsive', () => {
    clock.pass(IDLE_TIMEOUT_MS - HEARTBEAT_MS);
    expect(sink.pings).toBeGreaterThan(0);
    expect(sink.closed).toBeUndefined();
    clock.pass(2 * HEARTBEAT_MS);
    expect(sink.closed).toBe('unresponsive');
  });

  test('socket that takes nothing: closed as stalled, not before its time', () => {
    sink.writable = false;
    clock.pass(STALL_TIMEOUT_MS - HEARTBEAT_MS);
    expect(sink.closed).toBeUndefined();
    clock.pass(2 * HEARTBEAT_MS);
    expect(sink.closed).toBe('stalled');
  });

  test('socket that was full for longer than the idle timeout: is asked before it is closed', () => {
    sink.writable = false;
    clock.pass(2 * IDLE_TIMEOUT_MS);
    sink.writable = true;
    clock.pass(2 * HEARTBEAT_MS);
    expect(sink.pings).toBeGreaterThan(0);
    expect(sink.closed).toBeUndefined();
  });
});

describe('registry: the end of a token', () => {
  test.each([3, 130, 1111, 8765])('%i ms away: closed when the grace is over, not later', (ms) => {
    member.principal = principal(ms);
    registry.addMember(member);
    passHeard(ms + GRACE_MS - 1);
    expect(sink.closed).toBeUndefined();
    passHeard(1);
    expect(sink.closed).toBe('token_expired');
  });

  test('a newer token that ends later, just in time: it stays until then', () => {
    member.principal = principal(1000);
    registry.addMember(member);
    passHeard(1000 + GRACE_MS - 1);
    registry.renewToken(member, principal(5000));
    passHeard(4000);
    expect(sink.closed).toBeUndefined();
    passHeard(1);
    expect(sink.closed).toBe('token_expired');
  });

  test('a newer token that ends sooner: that is its end', () => {
    member.principal = principal(60_000);
    registry.addMember(member);
    passHeard(100);
    registry.renewToken(member, principal(200));
    passHeard(100 + GRACE_MS);
    expect(sink.closed).toBe('token_expired');
  });

  test('a connection that is gone: is not closed again', () => {
    member.principal = principal(100);
    registry.addMember(member);
    registry.removeMember(member);
    passHeard(1000);
    expect(sink.closed).toBeUndefined();
  });
});

describe('registry: while it drains', () => {
  const DRAIN_MS = 20_000;
  beforeEach(() => void vi.spyOn(Math, 'random').mockReturnValue(1));
  afterEach(() => vi.restoreAllMocks());

  test.each([130, 8765])('a token that ends %i ms after its begin: closed in time', (ms) => {
    member.principal = principal(ms);
    registry.addMember(member);
    void registry.drain(DRAIN_MS);
    passHeard(ms + GRACE_MS - 1);
    expect(sink.closed).toBeUndefined();
    passHeard(1);
    expect(sink.closed).toBe('token_expired');
  });

  test('a newer token that ends sooner: that is its end', () => {
    registry.addMember(member);
    void registry.drain(DRAIN_MS);
    passHeard(1000);
    registry.renewToken(member, principal(1100));
    passHeard(100 + GRACE_MS);
    expect(sink.closed).toBe('token_expired');
  });

  test('a revoked token: closed as revoked, at once', () => {
    registry.addMember(member);
    void registry.drain(DRAIN_MS);
    registry.closeWhere(() => true, 'revoked', 'The token is revoked.');
    expect(sink.closed).toBe('revoked');
  });

  test('a quiet connection: gets its heartbeats, and going_away in its turn', async () => {
    registry.addMember(member);
    const drained = registry.drain(DRAIN_MS);
    passHeard(DRAIN_MS / 2);
    expect(sink.takenBytes).toBeGreaterThan(0);
    passHeard(DRAIN_MS / 2);
    await drained;
    expect(sink.closed).toBe('going_away');
  });
});
