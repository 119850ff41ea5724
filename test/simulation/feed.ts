import type { ConnectionContext } from '../../services/gateway/src/connections/context.ts';
import type { Task } from '../../services/gateway/src/scheduling/task-scheduler.ts';
import type { StoredRecord } from './history.ts';
import { ensure } from './violation.ts';
import type { World } from './world.ts';

/** The one feed of a gateway. Messages that arrived wait for the feed slice of the next turn. */
export class SimulatedFeed implements Task {
  readonly #world: World;
  readonly #core: ConnectionContext;
  #arrived: StoredRecord[] = [];
  #open = false;

  constructor(world: World, core: ConnectionContext) {
    this.#world = world;
    this.#core = core;
  }

  get open(): boolean {
    return this.#open;
  }

  /** Whether the stream has messages that the feed has not brought yet. */
  get behind(): boolean {
    return this.#open && this.#world.history.next(this.#received) !== undefined;
  }

  begin(): void {
    this.#core.log.begin(this.#world.history.bounds());
    this.#open = true;
  }

  lose(): void {
    this.#open = false;
    this.#arrived = [];
  }

  /**
   * Brings up to `max` messages at once. Messages that retention removed before are missing without a
   * sign, as with a real consumer.
   */
  bring(max: number): void {
    for (let brought = 0; brought < max; brought++) {
      const record = this.#world.history.next(this.#received);
      if (!record) break;
      this.#arrived.push(record);
    }
    this.#core.tasks.scheduleFeed(this);
  }

  run(deadlineMs: number): boolean {
    const { clock, profile } = this.#world;
    while (this.#arrived.length > 0 && clock.nowMs < deadlineMs) {
      const record = this.#arrived.shift();
      if (!record) break;
      if (record.valid) this.#core.log.appendEvent(record);
      else this.#core.log.skipInvalid(record.sequence);
      clock.elapse(profile.feedMs);
      this.#checkTail();
    }
    return this.#arrived.length > 0;
  }

  get #received(): number {
    return this.#arrived.at(-1)?.sequence ?? this.#core.log.tail.head;
  }

  #checkTail(): void {
    const { tail } = this.#core.log;
    const { bytesMax, eventsMax } = this.#world.profile.tail;
    ensure(tail.bytes <= bytesMax && tail.length <= eventsMax, 'bounded memory', () => {
      return `the tail has ${tail.length} events with ${tail.bytes} bytes`;
    });
  }
}
