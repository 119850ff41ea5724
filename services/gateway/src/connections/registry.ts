import type { Principal } from '@tidemark/auth';
import { type CloseReason, TidemarkError } from '@tidemark/protocol';
import type { Scheduler } from '../scheduling/clock.ts';
import type { Task, Turns } from '../scheduling/task-scheduler.ts';
import type { Connection } from './connection.ts';

export interface RegistryOptions {
  readonly scheduler: Scheduler;
  readonly turns: Turns;
  readonly connectionsMax: number;
  /** Longest life of a connection; 0 or absent sets none. */
  readonly connectionSecondsMax?: number;
  readonly heartbeatMs: number;
  readonly idleTimeoutMs: number;
  readonly stallTimeoutMs: number;
  /** How long a connection outlives its token, for a client to send a newer one. */
  readonly tokenGraceMs: number;
  /** Wall clock, for the expiry of tokens. */
  readonly wallMs: () => number;
}

/** What is known of a connection beside its positions. */
export interface Member {
  /** What clients know the connection by. */
  readonly id: string;
  readonly connection: Connection;
  readonly transport: 'websocket' | 'sse';
  /** As its newest token says. */
  principal: Principal;
  /** When the peer was last heard, on the scheduler's clock; transports without replies leave it. */
  heardMs: number;
  /** Takes no further messages, and resolves when those taken have been answered. */
  readonly finish?: () => Promise<void>;
}

interface Observed {
  /** What the socket had taken when it last took something, and when that was. */
  takenBytes: number;
  takenMs: number;
  pingedMs: number;
  heartbeatSentMs: number;
  /** When it will have lived long enough. */
  endsMs: number;
  /** The expiry of the token that a timer waits for. */
  awaitedExpiryMs: number | undefined;
}

/** The least part of the longest life that a connection gets, so that few end at one time. */
const LIFE_PART_MIN = 0.8;

/** The connections are looked at this often within a heartbeat's time. */
const SWEEPS_PER_HEARTBEAT = 4;

/** A token that ends before so many sweeps gets a timer, since a busy sweep may come late. */
const SWEEPS_AHEAD = 2;

/**
 * All connections of a gateway, and what time does to them: heartbeats, tokens that expire, peers
 * that are gone, sockets that take nothing. One sweep in slices does for all of them what four
 * timers for each would do. Only the end of a token is not left to a sweep: those that end next
 * have a timer each, so that nobody is served for longer than the token and the grace allow.
 */
export class Registry implements Task {
  readonly #options: RegistryOptions;
  readonly #members = new Map<Member, Observed>();
  #sweep: IterableIterator<[Member, Observed]> | undefined;
  #cancelTimer: () => void = () => {};
  #closing = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#members.size;
  }

  get closing(): boolean {
    return this.#closing;
  }

  count(test: (member: Member) => boolean): number {
    let count = 0;
    for (const member of this.#members.keys()) if (test(member)) count++;
    return count;
  }

  /** Sequences between the head and the connection that is furthest from it. */
  furthestBehind(head: number): number {
    let furthest = 0;
    for (const { connection } of this.#members.keys()) {
      if (connection.live) continue;
      const position = connection.position();
      if (position) furthest = Math.max(furthest, head - position.sequence);
    }
    return furthest;
  }

  /** @throws TidemarkError `unavailable` while draining, `limit_exceeded` when the gateway is full */
  admit(): void {
    if (this.#closing) throw goingAway();
    const { connectionsMax } = this.#options;
    if (this.#members.size < connectionsMax) return;
    throw new TidemarkError('limit_exceeded', `The gateway has its ${connectionsMax} connections.`);
  }

  add(member: Member): void {
    const nowMs = this.#options.scheduler.nowMs();
    const observed: Observed = {
      endsMs: nowMs + this.#lifeMs(),
      takenBytes: 0,
      takenMs: nowMs,
      pingedMs: nowMs,
      heartbeatSentMs: nowMs,
      awaitedExpiryMs: undefined,
    };
    this.#members.set(member, observed);
    this.#awaitExpiry(member, observed);
    if (this.#members.size === 1) this.#plan();
  }

  /** The member has another token, which may end sooner than the one before. */
  renew(member: Member, principal: Principal): void {
    member.principal = principal;
    const observed = this.#members.get(member);
    if (observed) this.#awaitExpiry(member, observed);
  }

  remove(member: Member): void {
    this.#members.delete(member);
  }

  /** Closes those connections now. @returns how many */
  closeWhere(test: (member: Member) => boolean, reason: CloseReason, message: string): number {
    const members = [...this.#members.keys()].filter(test);
    for (const { connection } of members) connection.close(reason, message);
    return members.length;
  }

  /** Closes every connection, spread over the time so that they do not all return at once. */
  async drain(drainMs: number): Promise<void> {
    this.#closing = true;
    this.#cancelTimer();
    const { scheduler } = this.#options;
    await Promise.all(
      [...this.#members.keys()].map(async (member) => {
        const waitMs = Math.random() * drainMs;
        await new Promise<void>((resolve) => scheduler.after(waitMs, resolve));
        await sendAway(member, 'The gateway is going away; come back.');
      }),
    );
  }

  run(deadlineMs: number): boolean {
    this.#sweep ??= this.#members.entries();
    for (let next = this.#sweep.next(); !next.done; next = this.#sweep.next()) {
      const [member, observed] = next.value;
      this.#look(member, observed);
      if (this.#options.scheduler.nowMs() >= deadlineMs) return true;
    }
    this.#sweep = undefined;
    if (this.#members.size > 0 && !this.#closing) this.#plan();
    return false;
  }

  #plan(): void {
    const { scheduler, turns } = this.#options;
    this.#cancelTimer();
    this.#cancelTimer = scheduler.after(this.#sweepMs(), () => turns.add(this));
  }

  #sweepMs(): number {
    return this.#options.heartbeatMs / SWEEPS_PER_HEARTBEAT;
  }

  /** Closes the connection when its token has ended, and plans that when it soon will have. */
  #awaitExpiry(member: Member, observed: Observed): void {
    const { scheduler, wallMs, tokenGraceMs } = this.#options;
    const { connection, principal } = member;
    if (connection.closed || this.#closing || !this.#members.has(member)) return;
    const { expiresAtMs } = principal;
    const restMs = expiresAtMs + tokenGraceMs - wallMs();
    if (restMs <= 0) {
      this.#close(member, 'token_expired', 'The token has expired.');
      return;
    }
    if (restMs > SWEEPS_AHEAD * this.#sweepMs() || observed.awaitedExpiryMs === expiresAtMs) return;
    observed.awaitedExpiryMs = expiresAtMs;
    scheduler.after(Math.ceil(restMs), () => {
      observed.awaitedExpiryMs = undefined;
      this.#awaitExpiry(member, observed);
    });
  }

  #look(member: Member, observed: Observed): void {
    const { scheduler, heartbeatMs, idleTimeoutMs, stallTimeoutMs } = this.#options;
    const { connection } = member;
    // Closed already, and its socket has not ended yet.
    if (connection.closed) return;
    const { outlet } = connection;
    const nowMs = scheduler.nowMs();
    this.#awaitExpiry(member, observed);
    if (connection.closed) return;
    if (nowMs >= observed.endsMs) {
      observed.endsMs = Number.POSITIVE_INFINITY;
      void sendAway(member, 'The connection has lived long enough; come back.');
      return;
    }
    const { takenBytes } = outlet;
    if (takenBytes !== observed.takenBytes) {
      observed.takenBytes = takenBytes;
      observed.takenMs = nowMs;
    }
    const quietMs = nowMs - observed.takenMs;
    if (!outlet.writable) {
      // A peer that is not asked cannot answer: its silence counts from when it reads again.
      member.heardMs = nowMs;
      if (quietMs < stallTimeoutMs) return;
      connection.log.counts.stalled++;
      this.#close(member, 'stalled', `Nothing was read for ${stallTimeoutMs} ms.`);
      return;
    }
    if (member.transport === 'websocket') {
      const silentMs = nowMs - member.heardMs;
      if (silentMs >= idleTimeoutMs) {
        connection.log.counts.unresponsive++;
        this.#close(member, 'unresponsive', `No answer to a ping for ${idleTimeoutMs} ms.`);
        return;
      }
      if (silentMs >= heartbeatMs && nowMs - observed.pingedMs >= heartbeatMs) {
        observed.pingedMs = nowMs;
        outlet.ping();
      }
    }
    // The next look may be a quarter later, which must not be too late.
    const dueMs = heartbeatMs * (1 - 1 / SWEEPS_PER_HEARTBEAT);
    // Events move the cursor of the subscriptions that they are for, not of a quiet one beside them.
    const besideMs = connection.subscriptions > 1 ? nowMs - observed.heartbeatSentMs : 0;
    if (quietMs < dueMs && besideMs < dueMs) return;
    observed.heartbeatSentMs = nowMs;
    connection.log.counts.heartbeats++;
    connection.send(connection.dialect.heartbeat(connection.position()));
  }

  /** Spread at random, so that connections which came together do not return together. */
  #lifeMs(): number {
    const { connectionSecondsMax = 0 } = this.#options;
    if (connectionSecondsMax === 0) return Number.POSITIVE_INFINITY;
    const part = LIFE_PART_MIN + Math.random() * (1 - LIFE_PART_MIN);
    return part * connectionSecondsMax * 1000;
  }

  #close({ connection }: Member, reason: CloseReason, message: string): void {
    connection.close(reason, message);
  }
}

/** Closes a connection once what its client asked for has been answered. */
export function goingAway(): TidemarkError {
  return new TidemarkError('unavailable', 'This gateway is going away.');
}

async function sendAway({ connection, finish }: Member, message: string): Promise<void> {
  await finish?.();
  connection.close('going_away', message);
}
