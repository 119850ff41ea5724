import type { Counts } from '../counts.ts';
import type { Entry, EventEncoding } from '../log/entry.ts';
import type { PatternSet } from '../log/pattern-set.ts';
import type { Scheduler } from '../scheduler.ts';
import type { Gatherer } from './chunks.ts';
import { Cohort, type CohortContext, type LiveConnection } from './cohort.ts';
import { PatternTree } from './pattern-tree.ts';
import type { Turns } from './turns.ts';

export interface HubParts {
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
  #offered: Entry | undefined;
  // One function for every event: a closure for each would be garbage at the feed's rate.
  readonly #offerTo = (cohort: Cohort): void => {
    if (this.#offered) cohort.offer(this.#offered);
  };

  constructor({ scheduler, turns, counts, gatherer, wallMs }: HubParts) {
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
      for (const pattern of patterns.patterns) this.#tree.add(pattern, cohort);
    }
    cohort.join(connection, position);
    return cohort;
  }

  offer(entry: Entry): void {
    this.#offered = entry;
    this.#tree.match(entry.topic, this.#offerTo);
    this.#offered = undefined;
  }

  #release(cohort: Cohort): void {
    this.#cohorts.delete(cohort.key);
    for (const pattern of cohort.patterns.patterns) this.#tree.delete(pattern, cohort);
  }
}
