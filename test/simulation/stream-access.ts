import { KnownEnd, type LogRecord, type StreamState } from '@tidemark/nats';
import { type Lineage, type LogBounds, toSubject } from '@tidemark/protocol';
import type { Clock } from '../../services/gateway/src/scheduling/clock.ts';
import type { StoredRecord } from './versions.ts';
import type { World } from './world.ts';

/** What a server that was held up says about the stream, until it learns of the others. */
export interface StaleServer {
  readonly bounds: LogBounds;
  readonly createdMs: number;
  readonly leader: string | undefined;
  /** The gateway that is connected to it, so that no other server answers and feeds it. */
  readonly gateway: string;
  readonly untilMs: number;
}

const NO_HEADERS: ReadonlyMap<string, string> = new Map();
const NO_EVENT = Buffer.from('no event');

/** How one process asks JetStream about the stream. Its known end is the real one. */
export class StreamAccess {
  readonly knownEnd: KnownEnd;
  /** Whether its process was killed. Nothing that this had begun goes on then. */
  ended = false;
  readonly #world: World;
  readonly #clock: Clock;
  readonly #name: string;

  /** @param name that of its process */
  constructor(world: World, clock: Clock, name: string) {
    this.#name = name;
    this.#world = world;
    this.#clock = clock;
    this.knownEnd = new KnownEnd(() => world.clock.nowMs);
  }

  /** As `readStreamState`. */
  async state(): Promise<StreamState> {
    const asked = this.knownEnd.sequence;
    await this.hop('ask for bounds');
    const { bounds, createdMs, leader } = this.#answer();
    const { cluster: replicated } = this.#world.profile;
    await this.hop('answer bounds');
    const answer = { ...bounds, createdMs, replicated, leader };
    this.knownEnd.check(answer, asked);
    return answer;
  }

  /** As `readRecord`: the server that leads the stream answers. */
  async readRecord(sequence: number): Promise<LogRecord | undefined> {
    await this.hop(`read ${sequence}`);
    const record = this.#world.history.at(sequence);
    await this.hop(`answer ${sequence}`);
    return record && toLogRecord(record);
  }

  /** As `nextSequences`. */
  async nextMatch(
    patterns: { matches(topic: string): boolean },
    after: number,
    through: number,
  ): Promise<number | undefined> {
    await this.hop(`next after ${after}`);
    const { history } = this.#world;
    let record = history.next(after);
    while (record && record.sequence <= through && !patterns.matches(record.topic)) {
      record = history.next(record.sequence);
    }
    await this.hop('answer next');
    return record && record.sequence <= through ? record.sequence : undefined;
  }

  /** As `writeLineage`. All gateways hear of it. */
  async writeLineage(lineage: Lineage, judged: string): Promise<StreamState> {
    await this.hop('write the lineage');
    const { epoch } = this.#world.history.bounds();
    if (epoch !== judged) throw new Error('The log has another epoch by now.');
    this.#world.history.writeLineage(lineage);
    this.#world.note(() => `the log has the lineage ${JSON.stringify(lineage)}`);
    for (const { feed } of this.#world.gateways) void feed.followEpoch();
    this.#world.publisher.followEpoch();
    const { history, profile } = this.#world;
    const { createdMs } = history;
    const known = this.knownEnd.sequence;
    // The server that leads the stream has made the change, and answers with what is so then.
    const answer = { ...history.bounds(), createdMs, replicated: profile.cluster, leader: 's1' };
    await this.hop('answer the lineage');
    this.knownEnd.check(answer, known);
    return answer;
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.after(ms, resolve);
    });
  }

  async hop(what: string): Promise<void> {
    await this.#world.requests.hop(what);
    if (this.ended || !this.#world.natsUp) throw new Error('NATS is away.');
  }

  #answer(): Omit<StaleServer, 'gateway' | 'untilMs'> {
    const { history, stale, clock, random } = this.#world;
    const isHeldUp = stale && clock.nowMs < stale.untilMs;
    const isStale = isHeldUp && (stale.gateway === this.#name || random.chance(0.5));
    if (!isStale) return { bounds: history.bounds(), createdMs: history.createdMs, leader: 's1' };
    // A server drops what has become too old before it answers.
    const { bounds } = stale;
    const first = Math.max(bounds.firstSequence, history.firstSequence);
    const firstSequence = Math.min(first, bounds.lastSequence + 1);
    return { ...stale, bounds: { ...bounds, firstSequence } };
  }
}

function toLogRecord({ sequence, timeMs, topic, json, valid }: StoredRecord): LogRecord {
  const subject = toSubject(topic);
  const content = valid
    ? ({ payload: json, trust: 'sealed' } as const)
    : ({ payload: NO_EVENT, trust: 'none' } as const);
  return { sequence, timeMs, subject, topic, headers: NO_HEADERS, ...content };
}
