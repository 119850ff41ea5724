import { matches } from '@tidemark/protocol';
import { Random } from '../../simulation/random.ts';
import type { FinalRecord, HistoryRecord } from '../history.ts';
import { FakeClient, FakeSubscription } from './fake-client.ts';
import { FakeLog } from './fake-log.ts';
import { FakePublishers } from './fake-publishers.ts';

/** Takes the records of a run, and runs what is due. */
export interface Recorder {
  readonly nowMs: number;
  record(record: HistoryRecord): void;
  later(delayMs: number, act: (atMs: number) => void): void;
}

/** A whole history in memory. Tests plant their errors in it. */
export interface RecordedRun {
  readonly records: HistoryRecord[];
  readonly final: FinalRecord[];
}

export interface FakeRunOptions {
  readonly seed: number;
  readonly steps?: number;
  readonly clients?: number;
  /** Whether the log loses its end, or its first events for good, now and then. */
  readonly losses?: boolean;
}

const TOPICS = ['a.1', 'a.2', 'a.3', 'b.1', 'b.2', 'c.x.1', 'c.x.2', 'd'];
const PATTERNS = [['>'], ['a.*'], ['a.1', 'b.*'], ['c.>'], ['*.1'], ['d', 'a.2'], ['b.2']];

class Run implements Recorder {
  readonly records: HistoryRecord[] = [];
  readonly log = new FakeLog();
  nowMs = 0;
  readonly #random: Random;
  readonly #publishers: FakePublishers;
  readonly #clients: readonly FakeClient[];
  readonly #losses: boolean;
  #due: { readonly atMs: number; readonly act: (atMs: number) => void }[] = [];
  #faults = 0;

  constructor({ seed, clients = 8, losses = true }: FakeRunOptions) {
    this.#random = new Random(seed);
    this.#losses = losses;
    const bounds = { liveMs: 5000, expiryMs: 1000, revocationMs: 1000, duplicatesMs: 600_000 };
    this.record({ kind: 'run', atMs: 0, seed, ...bounds });
    this.#publishers = new FakePublishers(this.log, this.#random, this, TOPICS);
    this.#clients = Array.from({ length: clients }, (_, index) => this.#makeClient(index));
  }

  record(record: HistoryRecord): void {
    this.records.push(record);
  }

  later(delayMs: number, act: (atMs: number) => void): void {
    this.#due.push({ atMs: this.nowMs + delayMs, act });
  }

  step(): void {
    this.#advance(this.nowMs + this.#random.between(1, 10));
    const random = this.#random;
    if (random.chance(0.4)) this.#publishers.publish();
    else if (random.chance(0.05)) this.#read();
    else if (random.chance(0.01)) this.#fault();
    else random.pick(this.#clients).step();
  }

  finish(): void {
    while (this.#due.length > 0) this.#advance(this.nowMs + 100);
    for (const client of this.#clients) client.settle();
  }

  #advance(toMs: number): void {
    for (;;) {
      const [next] = this.#due.toSorted((one, other) => one.atMs - other.atMs);
      if (!next || next.atMs > toMs) break;
      this.#due = this.#due.filter((one) => one !== next);
      this.nowMs = next.atMs;
      next.act(next.atMs);
    }
    this.nowMs = toMs;
  }

  #makeClient(index: number): FakeClient {
    const random = this.#random;
    const count = index % 3 === 0 ? random.between(2, 3) : 1;
    const subscriptions = Array.from({ length: count }, (_, number) => {
      const deliver = count === 1 && index % 4 === 1 ? 'latest' : 'all';
      const start = random.chance(0.3) ? undefined : random.pick(['earliest', 'latest']);
      const patterns = index === 1 ? ['>'] : random.pick(PATTERNS);
      return new FakeSubscription(`c${index}s${number}`, { patterns, deliver, start });
    });
    const patterns = [...new Set(subscriptions.flatMap((one) => one.patterns))];
    const token = { token: `t${index}`, user: `u${index}`, subscribe: patterns, history: ['>'] };
    this.record({ kind: 'token', atMs: 0, ...token, expiresAtMs: 1e12 });
    return new FakeClient(`c${index}`, `t${index}`, subscriptions, {
      log: this.log,
      random,
      recorder: this,
    });
  }

  #fault(): void {
    const { lastSequence } = this.log;
    const isLoss = this.#losses && this.#random.chance(0.3);
    const isExpiry = !isLoss && this.#losses && this.#random.chance(0.3);
    const number = ++this.#faults;
    const named = isLoss ? 'power-loss' : isExpiry ? 'retention' : 'kill';
    const target = isLoss ? 'nats-1' : 'gateway-1';
    const loses = isLoss ? { loses: 'end' as const } : isExpiry ? { loses: 'start' as const } : {};
    const fault = { kind: 'fault' as const, number, fault: named, target, ...loses };
    this.record({ ...fault, atMs: this.nowMs, phase: 'begin' });
    const shared = Math.max(this.log.leftThrough, lastSequence - this.#random.between(1, 15));
    if (isLoss && shared < lastSequence) {
      this.log.loseEnd(shared);
      for (const client of this.#clients) client.noticeLoss();
    } else if (isExpiry) this.log.expire(this.#random.between(0, lastSequence));
    else this.log.leaveStream(this.#random.between(0, lastSequence));
    this.record({ ...fault, atMs: this.nowMs, phase: 'end' });
  }

  #read(): void {
    const random = this.#random;
    const { log } = this;
    const topics = random.pick(PATTERNS);
    const isAscending = random.chance(0.6);
    const limit = random.between(1, 30);
    const events = log
      .range(0)
      .filter(({ topic }) => topics.some((pattern) => matches(pattern, topic)));
    const ordered = isAscending ? events : events.toReversed();
    const page = ordered.slice(0, limit);
    const complete = ordered.length <= limit;
    const last = page.at(-1)?.sequence ?? 0;
    const next = complete ? (isAscending ? log.lastSequence : log.goneThrough + 1) : last;
    this.record({
      kind: 'page',
      atMs: this.nowMs,
      askedAtMs: this.nowMs,
      reader: 'r1',
      token: 't1',
      replay: 'replay-1',
      topics,
      order: isAscending ? 'asc' : 'desc',
      limit,
      items: page.map(({ sequence, id }) => [log.cursor(sequence), id]),
      gaps: [],
      next: log.cursor(next),
      complete,
    });
  }
}

/** Makes the history of a run in which every promise is kept. */
export function fakeRun(options: FakeRunOptions): RecordedRun {
  const run = new Run(options);
  for (let step = 0; step < (options.steps ?? 1500); step++) run.step();
  run.finish();
  return { records: run.records, final: [...run.log.final()] };
}
