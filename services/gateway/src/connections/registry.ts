import type { Principal } from '@tidemark/auth';
import { NO_OTHERS, type OtherProcesses } from '@tidemark/http';
import { type CloseReason, TidemarkError } from '@tidemark/protocol';
import type { Counters } from '../counters/counters.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { Task, TaskScheduler } from '../scheduling/task-scheduler.ts';
import type { Connection } from './connection.ts';

export interface RegistryOptions {
  readonly clock: Clock;
  readonly tasks: TaskScheduler;
  readonly counters: Counters;
  readonly connectionsMax: number;
  /** The processes whose connections count too; none if absent. */
  readonly others?: OtherProcesses;
  /** The longest life of a connection; 0 or absent sets no limit. */
  readonly connectionSecondsMax?: number;
  readonly heartbeatMs: number;
  readonly idleTimeoutMs: number;
  readonly stallTimeoutMs: number;
  /** How long a connection outlives its token, so that its client can send a newer one. */
  readonly tokenGraceMs: number;
  /** The wall clock, for the expiry of tokens. */
  readonly wallMs: () => number;
}

/** A connection and its client. */
export interface Member {
  /** The id that clients know from `welcome`. */
  readonly id: string;
  readonly connection: Connection;
  readonly transport: 'websocket' | 'sse';
  /** The address of the peer; that behind a trusted proxy. */
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly connectedMs: number;
  /** The principal of its newest token. */
  principal: Principal;
  /** When the peer last sent something, on the clock's time; SSE peers send nothing. */
  lastReceivedMs: number;
  /** When the message began to arrive that has not arrived whole, on the clock's time. */
  partSinceMs?(): number | undefined;
  /** Stops accepting messages, and resolves when the accepted ones have been answered. */
  finish?(): Promise<void>;
}

interface Observed {
  /** The sink's `takenBytes` at the last sweep that saw it grow, and the time of that sweep. */
  takenBytes: number;
  takenMs: number;
  pingedMs: number;
  heartbeatSentMs: number;
  /** When its longest life ends. */
  endsMs: number;
  /** The token expiry that a timer is set for. */
  awaitedExpiryMs: number | undefined;
}

/** The name under which processes tell each other how many connections they have. */
const LIMIT = 'connections';

/** A connection lives for at least this part of the longest life, so that few end together. */
const LIFETIME_PART_MIN = 0.8;

/** Sweeps over all connections within one heartbeat interval. */
const SWEEPS_PER_HEARTBEAT = 4;

/** A token that expires within this many sweeps gets a timer, because a sweep may be late. */
const SWEEPS_AHEAD = 2;

/**
 * All connections of a gateway. It sends their heartbeats, and closes those with an expired token, a
 * peer that is gone, or a socket that takes nothing. One sweep, in slices, replaces four timers for each
 * connection. Only a token that expires soon has a timer of its own, so that no connection outlives its
 * token and the grace period.
 */
export class Registry implements Task {
  readonly #options: RegistryOptions;
  readonly #others: OtherProcesses;
  readonly #members = new Map<Member, Observed>();
  #sweep: IterableIterator<[Member, Observed]> | undefined;
  #cancelTimer: () => void = () => {};
  #closing = false;
  #sse = 0;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#others = options.others ?? NO_OTHERS;
  }

  get size(): number {
    return this.#members.size;
  }

  get closing(): boolean {
    return this.#closing;
  }

  /** The number of connections of each transport. */
  get sizes(): Readonly<Record<Member['transport'], number>> {
    return { websocket: this.#members.size - this.#sse, sse: this.#sse };
  }

  /** All connections, also those that have just been closed. Those that come meanwhile are among them. */
  members(): IterableIterator<Member> {
    return this.#members.keys();
  }

  /** @throws TidemarkError `unavailable` while draining, `limit_exceeded` when the gateway is full */
  requireCapacity(): void {
    if (this.#closing) throw goingAwayError();
    const { connectionsMax } = this.#options;
    if (this.#members.size + this.#others.heldElsewhere(LIMIT, '') < connectionsMax) return;
    throw new TidemarkError(
      'limit_exceeded',
      `The gateway already has ${connectionsMax} connections.`,
    );
  }

  addMember(member: Member): void {
    const nowMs = this.#options.clock.nowMs();
    const observed: Observed = {
      endsMs: nowMs + this.#lifetimeMs(),
      takenBytes: 0,
      takenMs: nowMs,
      pingedMs: nowMs,
      heartbeatSentMs: nowMs,
      awaitedExpiryMs: undefined,
    };
    this.#members.set(member, observed);
    this.#others.tellHeld(LIMIT, '', 1);
    if (member.transport === 'sse') this.#sse++;
    this.#awaitExpiry(member, observed);
    if (this.#members.size === 1) this.#scheduleSweep();
  }

  /** Called when the client sent a newer token, which may expire sooner than the one before. */
  renewToken(member: Member, principal: Principal): void {
    member.principal = principal;
    const observed = this.#members.get(member);
    if (observed) this.#awaitExpiry(member, observed);
  }

  removeMember(member: Member): void {
    if (!this.#members.delete(member)) return;
    this.#others.tellHeld(LIMIT, '', -1);
    if (member.transport === 'sse') this.#sse--;
  }

  /** Closes the connections that match. @returns their number */
  closeWhere(test: (member: Member) => boolean, reason: CloseReason, message: string): number {
    const members = [...this.#members.keys()].filter(test);
    for (const { connection } of members) connection.close(reason, message);
    return members.length;
  }

  /**
   * Closes every connection, spread over `drainMs`, so that the clients do not all return at once. Sweeps
   * and the expiry of tokens go on meanwhile.
   */
  async drain(drainMs: number): Promise<void> {
    this.#closing = true;
    const { clock } = this.#options;
    await Promise.all(
      [...this.#members.keys()].map(async (member) => {
        const waitMs = Math.random() * drainMs;
        await new Promise<void>((resolve) => clock.after(waitMs, resolve));
        await finishAndClose(member, 'The gateway is shutting down; reconnect.');
      }),
    );
  }

  run(deadlineMs: number): boolean {
    this.#sweep ??= this.#members.entries();
    for (let next = this.#sweep.next(); !next.done; next = this.#sweep.next()) {
      const [member, observed] = next.value;
      this.#checkMember(member, observed);
      if (this.#options.clock.nowMs() >= deadlineMs) return true;
    }
    this.#sweep = undefined;
    if (this.#members.size > 0) this.#scheduleSweep();
    return false;
  }

  #scheduleSweep(): void {
    const { clock, tasks } = this.#options;
    this.#cancelTimer();
    this.#cancelTimer = clock.after(this.#sweepMs(), () => tasks.schedule(this));
  }

  #sweepMs(): number {
    return this.#options.heartbeatMs / SWEEPS_PER_HEARTBEAT;
  }

  /** Closes the connection if its token has expired; sets a timer if it expires soon. */
  #awaitExpiry(member: Member, observed: Observed): void {
    const { clock, wallMs, tokenGraceMs } = this.#options;
    const { connection, principal } = member;
    if (connection.closed || !this.#members.has(member)) return;
    const { expiresAtMs } = principal;
    const remainingMs = expiresAtMs + tokenGraceMs - wallMs();
    if (remainingMs <= 0) {
      this.#close(member, 'token_expired', 'The token has expired.');
      return;
    }
    if (remainingMs > SWEEPS_AHEAD * this.#sweepMs() || observed.awaitedExpiryMs === expiresAtMs)
      return;
    observed.awaitedExpiryMs = expiresAtMs;
    clock.after(Math.ceil(remainingMs), () => {
      observed.awaitedExpiryMs = undefined;
      this.#awaitExpiry(member, observed);
    });
  }

  #checkMember(member: Member, observed: Observed): void {
    const { clock, counters, heartbeatMs, idleTimeoutMs, stallTimeoutMs } = this.#options;
    const { connection } = member;
    // A closed connection stays a member until its socket has ended.
    if (connection.closed) return;
    const { sink } = connection;
    const nowMs = clock.nowMs();
    this.#awaitExpiry(member, observed);
    if (connection.closed) return;
    if (nowMs >= observed.endsMs && !this.#closing) {
      observed.endsMs = Number.POSITIVE_INFINITY;
      void finishAndClose(member, 'The connection has reached its longest lifetime; reconnect.');
      return;
    }
    const { takenBytes } = sink;
    if (takenBytes !== observed.takenBytes) {
      observed.takenBytes = takenBytes;
      observed.takenMs = nowMs;
    }
    const quietMs = nowMs - observed.takenMs;
    if (!sink.writable) {
      // A peer that does not read gets no ping, so its silence counts only once it reads again.
      member.lastReceivedMs = nowMs;
      if (quietMs < stallTimeoutMs) return;
      counters.stalled++;
      this.#close(member, 'stalled', `The client read nothing for ${stallTimeoutMs} ms.`);
      return;
    }
    if (member.transport === 'websocket') {
      // Pongs may come between the frames of a message, so they do not show that it goes on.
      if (nowMs - (member.partSinceMs?.() ?? nowMs) >= idleTimeoutMs) {
        counters.unresponsive++;
        this.#close(member, 'unresponsive', `A message was not whole after ${idleTimeoutMs} ms.`);
        return;
      }
      const silentMs = nowMs - member.lastReceivedMs;
      if (silentMs >= idleTimeoutMs) {
        counters.unresponsive++;
        this.#close(member, 'unresponsive', `No answer to a ping for ${idleTimeoutMs} ms.`);
        return;
      }
      if (silentMs >= heartbeatMs && nowMs - observed.pingedMs >= heartbeatMs) {
        observed.pingedMs = nowMs;
        sink.ping();
      }
    }
    // A heartbeat that is due before the next sweep is sent now, a quarter of the interval early.
    const dueMs = heartbeatMs * (1 - 1 / SWEEPS_PER_HEARTBEAT);
    // An event moves the cursor of its own subscription, but not those of quiet ones beside it.
    const sinceHeartbeatMs = connection.subscriptions > 1 ? nowMs - observed.heartbeatSentMs : 0;
    if (quietMs < dueMs && sinceHeartbeatMs < dueMs) return;
    observed.heartbeatSentMs = nowMs;
    counters.heartbeats++;
    connection.send(connection.encoder.heartbeat(connection.position()));
  }

  /** Random, so that connections that opened together do not end together. */
  #lifetimeMs(): number {
    const { connectionSecondsMax = 0 } = this.#options;
    if (connectionSecondsMax === 0) return Number.POSITIVE_INFINITY;
    const part = LIFETIME_PART_MIN + Math.random() * (1 - LIFETIME_PART_MIN);
    return part * connectionSecondsMax * 1000;
  }

  #close({ connection }: Member, reason: CloseReason, message: string): void {
    connection.close(reason, message);
  }
}

/** The error with which a gateway that is shutting down refuses. */
export function goingAwayError(): TidemarkError {
  return new TidemarkError('unavailable', 'This gateway is shutting down.');
}

/** Closes a connection after the gateway has answered every message of its client. */
async function finishAndClose(member: Member, message: string): Promise<void> {
  await member.finish?.();
  member.connection.close('going_away', message);
}
