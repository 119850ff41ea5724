import type { Log } from '../../services/gateway/src/log/event-log.ts';
import type { Task } from '../../services/gateway/src/scheduling/task-scheduler.ts';
import type { StoredRecord } from './history.ts';
import { ensure } from './violation.ts';
import type { World } from './world.ts';

/** The one feed of a gateway: what has arrived waits for the intake of the next turn. */
export class SimulatedFeed implements Task {
  readonly #world: World;
  readonly #log: Log;
  #arrived: StoredRecord[] = [];
  #open = false;

  constructor(world: World, log: Log) {
    this.#world = world;
    this.#log = log;
  }

  get open(): boolean {
    return this.#open;
  }

  /** Whether there is something to bring. */
  get behind(): boolean {
    return this.#open && this.#world.history.next(this.#received) !== undefined;
  }

  begin(): void {
    this.#log.begin(this.#world.history.bounds());
    this.#open = true;
  }

  lose(): void {
    this.#open = false;
    this.#arrived = [];
  }

  /**
   * Brings up to so many messages in one go. What retention took before they were brought is
   * missing without a trace, as from a real consumer.
   */
  bring(max: number): void {
    for (let brought = 0; brought < max; brought++) {
      const record = this.#world.history.next(this.#received);
      if (!record) break;
      this.#arrived.push(record);
    }
    this.#log.turns.addIntake(this);
  }

  run(deadlineMs: number): boolean {
    const { clock, profile } = this.#world;
    while (this.#arrived.length > 0 && clock.nowMs < deadlineMs) {
      const record = this.#arrived.shift();
      if (!record) break;
      if (record.valid) this.#log.append(record);
      else this.#log.skip(record.sequence);
      clock.elapse(profile.intakeMs);
      this.#checkTail();
    }
    return this.#arrived.length > 0;
  }

  get #received(): number {
    return this.#arrived.at(-1)?.sequence ?? this.#log.tail.head;
  }

  #checkTail(): void {
    const { tail } = this.#log;
    const { bytesMax, eventsMax } = this.#world.profile.tail;
    ensure(tail.bytes <= bytesMax && tail.length <= eventsMax, 'bounded memory', () => {
      return `the tail has ${tail.length} events with ${tail.bytes} bytes`;
    });
  }
}
