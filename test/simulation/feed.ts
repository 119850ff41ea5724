import { ERASURES_TOPIC, type LogBounds, readErasure } from '@tidemark/protocol';
import type { ConnectionContext } from '../../services/gateway/src/connections/context.ts';
import type { Task } from '../../services/gateway/src/scheduling/task-scheduler.ts';
import { LossJudge } from '../../services/gateway/src/sources/loss-judge.ts';
import type { StreamAccess } from './stream-access.ts';
import type { StoredRecord } from './versions.ts';
import { ensure } from './violation.ts';
import type { World } from './world.ts';

/** What a feed fills, and how it asks for the stream. */
export interface SimulatedFeedOptions {
  readonly core: ConnectionContext;
  readonly access: StreamAccess;
  /** The name of its gateway. */
  readonly name: string;
  /** Called before the log begins on a stream with these bounds. */
  readonly onBegin: (bounds: LogBounds) => void;
}

/** The pause after a start that failed. */
const RETRY_MS = 500;

/** The one feed of a gateway. Messages that arrived wait for the feed slice of the next turn. */
export class SimulatedFeed implements Task {
  readonly #world: World;
  readonly #core: ConnectionContext;
  readonly #access: StreamAccess;
  readonly #name: string;
  readonly #onBegin: (bounds: LogBounds) => void;
  readonly #loss: LossJudge;
  #arrived: StoredRecord[] = [];
  #open = false;
  /** Whether it waits for an answer, or before the next start. */
  #busy = false;
  #start = 0;

  constructor(world: World, { core, access, name, onBegin }: SimulatedFeedOptions) {
    this.#world = world;
    this.#core = core;
    this.#access = access;
    this.#name = name;
    this.#onBegin = onBegin;
    const readMs = async (sequence: number) => (await access.readRecord(sequence))?.timeMs;
    this.#loss = new LossJudge({ clock: core.clock, readMs });
  }

  get open(): boolean {
    return this.#open;
  }

  /** Whether it can start. */
  get idle(): boolean {
    return !this.#open && !this.#busy;
  }

  /** Whether the stream has messages that the feed has not brought yet. */
  get behind(): boolean {
    return this.#open && this.#next() !== undefined;
  }

  /** Starts as the feed of a gateway does. */
  async start(): Promise<void> {
    const start = ++this.#start;
    this.#busy = true;
    const { log, tailFill, clock } = this.#core;
    try {
      const state = await this.#access.state();
      const end = await this.#loss.judge(state, log);
      if (start !== this.#start) return;
      this.#onBegin(state);
      log.begin(state, end);
      tailFill.begin();
      this.#busy = false;
      this.#open = true;
    } catch {
      if (start !== this.#start) return;
      clock.after(RETRY_MS, () => {
        if (start === this.#start) this.#busy = false;
      });
    }
  }

  lose(): void {
    this.#start++;
    this.#busy = false;
    this.#open = false;
    this.#arrived = [];
  }

  /** Called when the server reports that the stream was changed. */
  async followEpoch(): Promise<void> {
    const { log, clock } = this.#core;
    try {
      const { epoch } = await this.#access.state();
      if (log.begun && epoch !== log.epoch) this.lose();
    } catch {
      clock.after(RETRY_MS, () => void this.followEpoch());
    }
  }

  /**
   * Brings up to `max` messages at once. Messages that retention removed before are missing without a
   * sign, as with a real consumer.
   */
  bring(max: number): void {
    for (let brought = 0; brought < max; brought++) {
      const record = this.#next();
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
      this.#passErased(record);
      if (record.valid) this.#append(record);
      else this.#core.log.skipInvalid(record.sequence);
      this.#access.knownEnd.noteSequence(record.sequence);
      clock.elapse(profile.feedMs);
      this.#checkTail();
    }
    return this.#arrived.length > 0;
  }

  /** As the real consumer, which asks for the bounds of the stream where it comes to a hole. */
  #passErased({ sequence }: StoredRecord): void {
    const { log } = this.#core;
    const hole = { from: log.tail.head + 1, to: sequence - 1 };
    const isErased = hole.from <= hole.to && this.#world.history.firstSequence < hole.from;
    if (isErased && this.#world.erasing) log.skipErased(hole);
  }

  /** As the real feed. */
  #append(record: StoredRecord): void {
    const { log } = this.#core;
    log.appendEvent(record);
    if (record.topic !== ERASURES_TOPIC) return;
    const erasure = readErasure(JSON.parse(record.json.toString()));
    if (erasure) log.eraseEvents(erasure, record.sequence);
  }

  /** The next message of the server that the gateway is connected to. */
  #next(): StoredRecord | undefined {
    const { history, stale, clock } = this.#world;
    const record = history.next(this.#received);
    const isHeldUp = stale?.gateway === this.#name && clock.nowMs < stale.untilMs;
    const end = isHeldUp ? stale.bounds.lastSequence : Number.POSITIVE_INFINITY;
    return record && record.sequence <= end ? record : undefined;
  }

  get #received(): number {
    return this.#arrived.at(-1)?.sequence ?? this.#core.log.tail.head;
  }

  #checkTail(): void {
    const { tail } = this.#core.log;
    const { bytesMax, eventsMax } = this.#world.profile.tail;
    // Frames count when they are encoded, and the next event makes room for them: two for each event at most.
    const isBounded = tail.bytes <= 3 * bytesMax && tail.length <= eventsMax;
    ensure(isBounded, 'bounded memory', () => {
      return `the tail has ${tail.length} events with ${tail.bytes} bytes`;
    });
  }
}
