import { type ConnectionQuery, parseConnectionQuery } from '@tidemark/protocol';
import type { Clock } from '../scheduling/clock.ts';
import type { Task, TaskScheduler } from '../scheduling/task-scheduler.ts';
import { describeMember } from './connection-info.ts';
import type { Member, Registry } from './registry.ts';

/** Most of a turn that a walk takes, so that fan-out has its part of each. */
const SLICE_MS = 1;

/** Members between two readings of the clock. A visit takes some 50 ns. */
const VISITS_PER_CLOCK = 256;

/** Most walks that wait. A further one is not begun: its gateway passes for one that does not answer. */
const WAITING_MAX = 8;

/** What is walked, and whose name the answer has. */
export interface WalkOptions {
  readonly registry: Pick<Registry, 'members' | 'size'>;
  readonly tasks: Pick<TaskScheduler, 'schedule'>;
  readonly clock: Clock;
  readonly gateway: string;
  /** How long somebody waits for the answer, in ms. */
  readonly timeoutMs: number;
}

/**
 * Walks over the connections of this gateway for those who ask for a list of them, one walk after the other, in slices
 * of the task scheduler.
 */
export class ConnectionWalks implements Task {
  readonly #options: WalkOptions;
  readonly #waiting: ConnectionWalk[] = [];

  constructor(options: WalkOptions) {
    this.#options = options;
  }

  /**
   * Finds the first connections of a query in the order of their ids.
   *
   * @param send gets a `ConnectionPage` as JSON; not called where nobody waits any more
   */
  begin(query: ConnectionQuery, send: (json: string) => void): void {
    const { gateway, tasks } = this.#options;
    if (query.gateway !== undefined && query.gateway !== gateway) return;
    if (this.#waiting.length >= WAITING_MAX) return;
    this.#waiting.push(new ConnectionWalk(this.#options, query, send));
    tasks.schedule(this);
  }

  /** Begins the walk for a request as another gateway sent it. Ignores what is none. */
  answer(request: Uint8Array, send: (json: string) => void): void {
    const query = parseConnectionQuery(request);
    if (query) this.begin(query, send);
  }

  run(deadlineMs: number): boolean {
    const [walk] = this.#waiting;
    if (!walk) return false;
    if (!walk.run(deadlineMs)) this.#waiting.shift();
    return this.#waiting.length > 0;
  }
}

class ConnectionWalk implements Task {
  readonly #options: WalkOptions;
  readonly #query: ConnectionQuery;
  readonly #send: (json: string) => void;
  readonly #endMs: number;
  readonly #members: IterableIterator<Member>;
  /** In no order until `#cut`. */
  #found: Member[] = [];
  /** The answer has everything up to this id; `null` where it has everything. */
  #end: string | null = null;
  #described: string[] | undefined;
  /** The id of the last one that was described. */
  #through = '';
  #bytes = 0;

  constructor(options: WalkOptions, query: ConnectionQuery, send: (json: string) => void) {
    this.#options = options;
    this.#query = query;
    this.#send = send;
    this.#endMs = options.clock.nowMs() + options.timeoutMs;
    this.#members = options.registry.members();
  }

  run(deadlineMs: number): boolean {
    const { clock } = this.#options;
    const nowMs = clock.nowMs();
    if (nowMs >= this.#endMs) return false;
    const endMs = Math.min(deadlineMs, nowMs + SLICE_MS);
    if (!this.#described && this.#visit(endMs)) return true;
    this.#described ??= [];
    return this.#describe(this.#described, endMs);
  }

  /** @returns whether members are left */
  #visit(endMs: number): boolean {
    const { clock } = this.#options;
    for (let visits = 1; ; visits++) {
      const next = this.#members.next();
      if (next.done) break;
      if (this.#wants(next.value)) this.#add(next.value);
      if (visits % VISITS_PER_CLOCK === 0 && clock.nowMs() >= endMs) return true;
    }
    this.#cut();
    return false;
  }

  #wants({ id, connection, principal, transport }: Member): boolean {
    const { after, sub, transport: wanted, slow } = this.#query;
    if (id <= after || (this.#end !== null && id > this.#end)) return false;
    if (connection.closed) return false;
    if (sub !== undefined && principal.subject !== sub) return false;
    if (wanted !== undefined && transport !== wanted) return false;
    return !slow || connection.context.behind.slowSince(connection) !== undefined;
  }

  #add(member: Member): void {
    this.#found.push(member);
    if (this.#found.length >= 2 * this.#query.limit) this.#cut();
  }

  /** Keeps the first ones only, in order. */
  #cut(): void {
    const { limit } = this.#query;
    this.#found.sort(({ id: left }, { id: right }) => (left < right ? -1 : 1));
    if (this.#found.length <= limit) return;
    this.#found.length = limit;
    this.#end = this.#found.at(-1)?.id ?? null;
  }

  /** @returns whether connections are left */
  #describe(described: string[], endMs: number): boolean {
    const { clock, gateway } = this.#options;
    for (let member = this.#found.shift(); member; member = this.#found.shift()) {
      // It may have been closed since.
      if (member.connection.closed) continue;
      const json = JSON.stringify(describeMember(member, gateway));
      this.#bytes += Buffer.byteLength(json);
      if (this.#bytes > this.#query.bytesMax && described.length > 0) {
        this.#end = this.#through;
        break;
      }
      described.push(json);
      this.#through = member.id;
      if (clock.nowMs() >= endMs && this.#found.length > 0) return true;
    }
    this.#answer(described);
    return false;
  }

  #answer(described: readonly string[]): void {
    const { gateway, registry } = this.#options;
    const about = JSON.stringify({ gateway, connections: registry.size, end: this.#end });
    this.#send(`${about.slice(0, -1)},"items":[${described.join(',')}]}`);
  }
}
