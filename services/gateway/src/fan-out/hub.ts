import type { Counters } from '../counters/counters.ts';
import type { EventEncoder, EventEntry } from '../log/event-entry.ts';
import type { PatternSet } from '../log/pattern-set.ts';
import { PatternTree } from '../log/pattern-tree.ts';
import type { EventSubscriber, Topic } from '../log/topic.ts';
import type { TopicIndex, VisitBudget } from '../log/topic-index.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { TaskScheduler } from '../scheduling/task-scheduler.ts';
import type { WriteBuffer } from './batch.ts';
import type { Route } from './routes.ts';
import { type GroupContext, type LiveConnection, SubscriberGroup } from './subscriber-group.ts';

/**
 * Nodes of the topic index that one change of patterns may visit to invalidate the matches of single topics.
 * A change that needs more invalidates those of all topics.
 */
const INVALIDATION_VISITS_MAX = 512;

/**
 * Most subscribers that are kept with a topic. To look more of them up for each event takes less time than to
 * deliver to them, and 500,000 topics with a list of 1,000 would take gigabytes.
 */
const KEPT_SUBSCRIBERS_MAX = 8;

const NOBODY: readonly EventSubscriber[] = [];

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
  /** By the slots of their encoders, and the keys of their patterns. */
  readonly #groups: readonly Map<string, SubscriberGroup>[] = [new Map(), new Map(), new Map()];
  readonly #tree = new PatternTree<EventSubscriber>();
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
    return this.#groups.reduce((sum, { size }) => sum + size, 0);
  }

  /**
   * Moves a connection from its group, if it has one, to that of these patterns. A group that would be left
   * empty takes the new patterns, so that only what differs is changed.
   *
   * @param sequence the tail's head; the connection has every event up to it
   */
  moveTo(
    connection: LiveConnection,
    patterns: PatternSet,
    at: {
      readonly encoder: EventEncoder;
      readonly sequence: number;
      readonly from: SubscriberGroup | undefined;
    },
  ): SubscriberGroup {
    const { encoder, sequence, from } = at;
    const present = this.#groupsOf(encoder).get(patterns.key);
    if (from && from === present) return from;
    if (from && !present && from.size === 1) {
      this.#repattern(from, patterns);
      return from;
    }
    from?.removeMember(connection);
    const group = present ?? this.#createGroup(patterns, encoder);
    group.addMember(connection, sequence);
    return group;
  }

  deliverEvent(entry: EventEntry, topic: Topic): void {
    let { subscribers } = topic;
    if (!subscribers || topic.generation !== this.#generation) {
      const found = this.#tree.matching(entry.topic);
      subscribers = found.length === 0 ? NOBODY : found;
      topic.subscribers = found.length > KEPT_SUBSCRIBERS_MAX ? undefined : subscribers;
      topic.generation = this.#generation;
    }
    for (const subscriber of subscribers) subscriber.enqueueEvent(entry);
  }

  #groupsOf({ slot }: EventEncoder): Map<string, SubscriberGroup> {
    return this.#groups[slot] as Map<string, SubscriberGroup>;
  }

  #createGroup(patterns: PatternSet, encoder: EventEncoder): SubscriberGroup {
    const group = new SubscriberGroup(patterns, encoder, this.#context);
    this.#groupsOf(encoder).set(patterns.key, group);
    for (const { pattern, subscriber } of group.routes()) this.#tree.add(pattern, subscriber);
    this.#invalidateMatches(patterns.list);
    return group;
  }

  #removeGroup(group: SubscriberGroup): void {
    this.#groupsOf(group.encoder).delete(group.patterns.key);
    for (const { pattern, subscriber } of group.routes()) this.#tree.delete(pattern, subscriber);
    this.#invalidateMatches(group.patterns.list);
  }

  #repattern(group: SubscriberGroup, patterns: PatternSet): void {
    const before = group.routes();
    const groups = this.#groupsOf(group.encoder);
    groups.delete(group.patterns.key);
    groups.set(patterns.key, group);
    group.repattern(patterns);
    const after = group.routes();
    const added = without(after, before);
    const removed = without(before, after);
    for (const { pattern, subscriber } of added) this.#tree.add(pattern, subscriber);
    for (const { pattern, subscriber } of removed) this.#tree.delete(pattern, subscriber);
    this.#invalidateMatches([...added, ...removed].map(({ pattern }) => pattern));
  }

  /** Called when the subscribers of the topics that these patterns match have changed. */
  #invalidateMatches(patterns: readonly string[]): void {
    const budget: VisitBudget = { left: INVALIDATION_VISITS_MAX };
    for (const pattern of patterns) {
      const topics = this.#topics.find(pattern, budget);
      if (!topics) {
        this.#generation++;
        return;
      }
      for (const topic of topics) topic.subscribers = undefined;
    }
  }
}

/** The routes that are not among others. */
function without(routes: readonly Route[], others: readonly Route[]): Route[] {
  const known = new Set(others.map(({ key }) => key));
  return routes.filter(({ key }) => !known.has(key));
}
