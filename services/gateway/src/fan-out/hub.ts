import type { Counters } from '../counters/counters.ts';
import type { EventEncoder, EventEntry } from '../log/event-entry.ts';
import type { PatternSet } from '../log/pattern-set.ts';
import type { Topic } from '../log/topic.ts';
import type { TopicIndex } from '../log/topic-index.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { TaskScheduler } from '../scheduling/task-scheduler.ts';
import type { WriteBuffer } from './batch.ts';
import { PatternTree } from './pattern-tree.ts';
import { type GroupContext, type LiveConnection, SubscriberGroup } from './subscriber-group.ts';

/** A pattern that matches more topics than this invalidates the matches of all topics. */
const INVALIDATED_TOPICS_MAX = 512;

export interface HubOptions {
  /** The tail's topics. Each keeps its live subscribers. */
  readonly topics: TopicIndex<Topic>;
  readonly clock: Clock;
  readonly tasks: TaskScheduler;
  readonly counters: Counters;
  readonly writeBuffer: WriteBuffer;
  readonly wallMs: () => number;
}

/** Hub: gives each event of the feed to the subscriber groups that match its topic. */
export class Hub {
  readonly #groups = new Map<string, SubscriberGroup>();
  readonly #tree = new PatternTree<SubscriberGroup>();
  readonly #context: GroupContext;
  readonly #topics: TopicIndex<Topic>;
  #generation = 0;

  constructor({ topics, clock, tasks, counters, writeBuffer, wallMs }: HubOptions) {
    this.#topics = topics;
    this.#context = {
      clock,
      counters,
      writeBuffer,
      wallMs,
      tasks,
      onEmpty: (group) => this.#removeGroup(group),
    };
  }

  /** The number of subscriber groups. */
  get groupCount(): number {
    return this.#groups.size;
  }

  /** @param sequence the tail's head; the connection has every event up to it */
  joinGroup(
    connection: LiveConnection,
    patterns: PatternSet,
    { encoder, sequence }: { readonly encoder: EventEncoder; readonly sequence: number },
  ): SubscriberGroup {
    const key = `${encoder.slot} ${patterns.key}`;
    let group = this.#groups.get(key);
    if (!group) {
      group = new SubscriberGroup(key, patterns, encoder, this.#context);
      this.#groups.set(key, group);
      for (const pattern of patterns.list) {
        this.#tree.add(pattern, group);
        this.#invalidateMatches(pattern);
      }
    }
    group.addMember(connection, sequence);
    return group;
  }

  deliverEvent(entry: EventEntry, topic: Topic): void {
    if (!topic.subscribers || topic.generation !== this.#generation) {
      topic.subscribers = this.#tree.matching(entry.topic);
      topic.generation = this.#generation;
    }
    for (const subscriber of topic.subscribers) subscriber.enqueueEvent(entry);
  }

  #removeGroup(group: SubscriberGroup): void {
    this.#groups.delete(group.key);
    for (const pattern of group.patterns.list) {
      this.#tree.delete(pattern, group);
      this.#invalidateMatches(pattern);
    }
  }

  /** Called when the subscribers of the topics that a pattern matches have changed. */
  #invalidateMatches(pattern: string): void {
    const topics = this.#topics.find(pattern, INVALIDATED_TOPICS_MAX);
    if (!topics) this.#generation++;
    else for (const topic of topics) topic.subscribers = undefined;
  }
}
