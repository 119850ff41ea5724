import type { TypeFilter } from '@tidemark/protocol';
import type { PatternSet } from '../log/pattern-set.ts';
import type { EventSubscriber } from '../log/topic.ts';

/** Who receives the events of a pattern: a subscriber, or one of its filters by types. */
export interface Route {
  /** Differs from those of the subscriber's other routes, before and after a change of its patterns. */
  readonly key: string;
  readonly pattern: string;
  readonly subscriber: EventSubscriber;
}

/** A subscriber's filters, by the keys of their types. Each passes on the events of its types. */
export type TypeFilters = ReadonlyMap<string, EventSubscriber>;

/**
 * The filters that a subscriber needs for its patterns.
 *
 * @param present those of its earlier patterns, which it keeps where their types are wanted still
 * @returns `undefined` where it wants all types
 */
export function openFilters(
  { parts }: PatternSet,
  subscriber: EventSubscriber,
  present?: TypeFilters,
): TypeFilters | undefined {
  let filters: Map<string, EventSubscriber> | undefined;
  for (const { types } of parts) {
    if (!types) continue;
    filters ??= new Map();
    filters.set(types.key, present?.get(types.key) ?? createFilter(types, subscriber));
  }
  return filters;
}

/** The routes of a subscriber's patterns. */
export function routesOf(
  { parts }: PatternSet,
  subscriber: EventSubscriber,
  filters: TypeFilters | undefined,
): Route[] {
  return parts.flatMap(({ list, types }) => {
    const receiver = (types && filters?.get(types.key)) ?? subscriber;
    return list.map((pattern) => {
      const key = types ? `${pattern} ${types.key}` : pattern;
      return { key, pattern, subscriber: receiver };
    });
  });
}

function createFilter(types: TypeFilter, subscriber: EventSubscriber): EventSubscriber {
  return {
    enqueueEvent(entry) {
      if (types.accepts(entry.type)) subscriber.enqueueEvent(entry);
    },
  };
}
