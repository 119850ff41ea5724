import type { Counts } from '../counters/counters.ts';
import type { Entry, EventEncoding } from '../log/event-entry.ts';
import type { PatternSet } from '../log/pattern-set.ts';
import type { Topic } from '../log/topic.ts';
import type { TopicTree } from '../log/topic-index.ts';
import type { Scheduler } from '../scheduling/clock.ts';
import type { Turns } from '../scheduling/task-scheduler.ts';
import type { Gatherer } from './batch.ts';
import { PatternTree } from './pattern-tree.ts';
import { Cohort, type CohortContext, type LiveConnection } from './subscriber-group.ts';

/** Topics looked at to forget what was found out about those of one pattern; beyond, of all. */
const FORGET_VISITS_MAX = 512;

export interface HubParts {
  /** Those of the tail: where it is remembered who is live on each. */
  readonly topics: TopicTree<Topic>;
  readonly scheduler: Scheduler;
  readonly turns: Turns;
  readonly counts: Counts;
  readonly gatherer: Gatherer;
  readonly wallMs: () => number;
}

/** Who is live on what: gives each event of the feed to the cohorts that want it. */
export class Hub {
  readonly #cohorts = new Map<string, Cohort>();
  readonly #tree = new PatternTree<Cohort>();
  readonly #context: CohortContext;
  readonly #topics: TopicTree<Topic>;
  #era = 0;

  constructor({ topics, scheduler, turns, counts, gatherer, wallMs }: HubParts) {
    this.#topics = topics;
    this.#context = {
      scheduler,
      counts,
      gatherer,
      wallMs,
      turns,
      release: (cohort) => this.#release(cohort),
    };
  }

  get cohorts(): number {
    return this.#cohorts.size;
  }

  /** @param position the sequence up to which the connection has everything: the tail's head */
  join(
    connection: LiveConnection,
    patterns: PatternSet,
    { encoding, position }: { readonly encoding: EventEncoding; readonly position: number },
  ): Cohort {
    const key = `${encoding.slot} ${patterns.key}`;
    let cohort = this.#cohorts.get(key);
    if (!cohort) {
      cohort = new Cohort(key, patterns, encoding, this.#context);
      this.#cohorts.set(key, cohort);
      for (const pattern of patterns.patterns) {
        this.#tree.add(pattern, cohort);
        this.#forget(pattern);
      }
    }
    cohort.join(connection, position);
    return cohort;
  }

  offer(entry: Entry, topic: Topic): void {
    if (!topic.cohorts || topic.era !== this.#era) {
      topic.cohorts = this.#tree.matching(entry.topic);
      topic.era = this.#era;
    }
    for (const cohort of topic.cohorts) cohort.offer(entry);
  }

  #release(cohort: Cohort): void {
    this.#cohorts.delete(cohort.key);
    for (const pattern of cohort.patterns.patterns) {
      this.#tree.delete(pattern, cohort);
      this.#forget(pattern);
    }
  }

  /** Who is live on the pattern's topics has changed. */
  #forget(pattern: string): void {
    const topics = this.#topics.find(pattern, FORGET_VISITS_MAX);
    if (!topics) this.#era++;
    else for (const topic of topics) topic.cohorts = undefined;
  }
}
