import { parseCursor } from '@tidemark/protocol';
import type { Random } from '../../simulation/random.ts';
import type { PublishAnswer, PublishAttempt } from '../history.ts';
import type { FakeLog } from './fake-log.ts';
import type { Recorder } from './fake-run.ts';

type Answer = Omit<PublishAnswer, 'kind' | 'atMs' | 'attempt'>;

interface Publish {
  readonly topic: string;
  readonly id: string;
  readonly condition?: string | null;
}

/** Publishers: plain appends, repeats, conditional chains and contests. */
export class FakePublishers {
  readonly #log: FakeLog;
  readonly #random: Random;
  readonly #recorder: Recorder;
  readonly #topics: readonly string[];
  #attempts = 0;
  #events = 0;
  #last: Publish | undefined;

  constructor(log: FakeLog, random: Random, recorder: Recorder, topics: readonly string[]) {
    this.#log = log;
    this.#random = random;
    this.#recorder = recorder;
    this.#topics = topics;
  }

  publish(): void {
    const topic = this.#random.pick(this.#topics);
    if (this.#last && this.#random.chance(0.1)) {
      this.#attempt(this.#last);
      return;
    }
    if (this.#random.chance(0.7)) {
      this.#attempt({ topic, id: this.#newId() });
      return;
    }
    const last = this.#log.lastOf(topic);
    const condition = last === 0 ? null : this.#log.cursor(last);
    this.#attempt({ topic, id: this.#newId(), condition });
    if (this.#random.chance(0.4)) this.#attempt({ topic, id: this.#newId(), condition });
  }

  #newId(): string {
    return `e${++this.#events}`;
  }

  #attempt(publish: Publish): void {
    this.#last = publish;
    const attempt = ++this.#attempts;
    const record: PublishAttempt = {
      kind: 'publish-attempt',
      atMs: this.#recorder.nowMs,
      attempt,
      publisher: 'p1',
      source: '/chaos',
      via: 'http',
      ...publish,
    };
    this.#recorder.record(record);
    this.#recorder.later(this.#random.between(1, 30), () => this.#store(record));
  }

  #store(record: PublishAttempt): void {
    const told = this.#decide(record);
    const isUnknown = this.#random.chance(0.05);
    const { attempt } = record;
    this.#recorder.later(this.#random.between(1, 30), (atMs) => {
      const answer = isUnknown ? { outcome: 'unknown' as const, code: 'unavailable' } : told;
      this.#recorder.record({ kind: 'publish-answer', atMs, attempt, ...answer });
    });
  }

  #decide({ topic, id, condition }: PublishAttempt): Answer {
    const log = this.#log;
    const known = log.find(id);
    if (known) return { outcome: 'duplicate', cursor: log.cursor(known.sequence) };
    const last = log.lastOf(topic);
    const named = condition ? log.locate(parseCursor(condition)) : { sequence: 0, lost: false };
    if (condition !== undefined && (named.lost || named.sequence !== last)) {
      const cursor = last === 0 ? null : log.cursor(last);
      return { outcome: 'refused', code: 'precondition_failed', cursor };
    }
    const { sequence } = log.append(topic, id, this.#recorder.nowMs);
    return { outcome: 'stored', cursor: log.cursor(sequence) };
  }
}
