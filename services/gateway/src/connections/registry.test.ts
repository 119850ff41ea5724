import type { Principal } from '@tidemark/auth';
import type { CloseReason } from '@tidemark/protocol';
import { beforeEach, describe, expect, test } from 'vitest';
import { Counts } from '../counters/counters.ts';
import type { Outlet } from '../fan-out/sink.ts';
import { Log } from '../log/event-log.ts';
import type { Scheduler } from '../scheduling/clock.ts';
import { webSocketDialect } from '../transports/websocket/encoder.ts';
import { Connection } from './connection.ts';
import { type Member, Registry } from './registry.ts';

const HEARTBEAT_MS = 1000;
const IDLE_TIMEOUT_MS = 3000;
const STALL_TIMEOUT_MS = 10_000;
const GRACE_MS = 70;

/** Time that passes only when it is told to. */
class ManualScheduler implements Scheduler {
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

class RecordingOutlet implements Outlet {
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

const away = () => Promise.reject(new Error('There is nothing below the tail here.'));

let scheduler: ManualScheduler;
let outlet: RecordingOutlet;
let registry: Registry;
let member: Member;

function principal(expiresAtMs: number): Principal {
  return { subject: 'a', grants: [], admin: false, expiresAtMs };
}

beforeEach(() => {
  scheduler = new ManualScheduler();
  outlet = new RecordingOutlet();
  const tier = { connected: true, bounds: away, read: away, sequenceBefore: away };
  const log = new Log({
    stream: tier,
    archive: tier,
    scheduler,
    counts: new Counts(),
    tail: { bytesMax: 1_000_000, eventsMax: 1000 },
    coldReadsMax: 1,
    coldWaitMs: 0,
  });
  registry = new Registry({
    scheduler,
    turns: log.turns,
    connectionsMax: 1,
    heartbeatMs: HEARTBEAT_MS,
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    stallTimeoutMs: STALL_TIMEOUT_MS,
    tokenGraceMs: GRACE_MS,
    wallMs: () => scheduler.nowMs(),
  });
  member = {
    id: 'c',
    connection: new Connection({ log, outlet, dialect: webSocketDialect }),
    transport: 'websocket',
    principal: principal(Number.POSITIVE_INFINITY),
    heardMs: 0,
  };
});

/** Lets time pass for a peer that answers each ping. */
function passHeard(ms: number): void {
  for (let left = ms; left > 0; left -= 10) {
    member.heardMs = scheduler.nowMs();
    scheduler.pass(Math.min(left, 10));
  }
}

describe('registry', () => {
  beforeEach(() => registry.add(member));

  test('peer that answers nothing: pinged, then closed as unresponsive', () => {
    scheduler.pass(IDLE_TIMEOUT_MS - HEARTBEAT_MS);
    expect(outlet.pings).toBeGreaterThan(0);
    expect(outlet.closed).toBeUndefined();
    scheduler.pass(2 * HEARTBEAT_MS);
    expect(outlet.closed).toBe('unresponsive');
  });

  test('socket that takes nothing: closed as stalled, not before its time', () => {
    outlet.writable = false;
    scheduler.pass(STALL_TIMEOUT_MS - HEARTBEAT_MS);
    expect(outlet.closed).toBeUndefined();
    scheduler.pass(2 * HEARTBEAT_MS);
    expect(outlet.closed).toBe('stalled');
  });

  test('socket that was full for longer than the idle timeout: is asked before it is closed', () => {
    outlet.writable = false;
    scheduler.pass(2 * IDLE_TIMEOUT_MS);
    outlet.writable = true;
    scheduler.pass(2 * HEARTBEAT_MS);
    expect(outlet.pings).toBeGreaterThan(0);
    expect(outlet.closed).toBeUndefined();
  });
});

describe('registry: the end of a token', () => {
  test.each([3, 130, 1111, 8765])('%i ms away: closed when the grace is over, not later', (ms) => {
    member.principal = principal(ms);
    registry.add(member);
    passHeard(ms + GRACE_MS - 1);
    expect(outlet.closed).toBeUndefined();
    passHeard(1);
    expect(outlet.closed).toBe('token_expired');
  });

  test('a newer token that ends later, just in time: it stays until then', () => {
    member.principal = principal(1000);
    registry.add(member);
    passHeard(1000 + GRACE_MS - 1);
    registry.renew(member, principal(5000));
    passHeard(4000);
    expect(outlet.closed).toBeUndefined();
    passHeard(1);
    expect(outlet.closed).toBe('token_expired');
  });

  test('a newer token that ends sooner: that is its end', () => {
    member.principal = principal(60_000);
    registry.add(member);
    passHeard(100);
    registry.renew(member, principal(200));
    passHeard(100 + GRACE_MS);
    expect(outlet.closed).toBe('token_expired');
  });

  test('a connection that is gone: is not closed again', () => {
    member.principal = principal(100);
    registry.add(member);
    registry.remove(member);
    passHeard(1000);
    expect(outlet.closed).toBeUndefined();
  });
});
