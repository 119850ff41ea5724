import { isLiteral, matches } from '@tidemark/protocol';
import type { Dictionary, Entry } from './dictionary.ts';
import type { EventKeys } from './event-table.ts';
import { topicRanges } from './topic-ranges.ts';

/** Topics of a pattern that are read one by one; with more of them the events are scanned. */
export const MERGED_TOPICS_MAX = 2000;

/** Names looked at to find the topics of a pattern before the scan is taken instead: 10 ms. */
const RESOLVED_NAMES_MAX = 5000;
const NAMES_PER_READ = 1000;

export interface Criteria {
  /** Events of topics that match any of these. */
  readonly patterns: readonly string[];
  /** Events of any of these types; all when absent. */
  readonly types?: readonly string[];
  readonly source?: string;
}

export interface Dictionaries {
  readonly topics: Dictionary;
  readonly types: Dictionary;
  readonly sources: Dictionary;
}

export type Column = 'topic' | 'type' | 'source';

/** A condition on one column. */
export interface Facet {
  readonly column: Column;
  /** The names that meet it; absent where they are too many to be read one by one. */
  readonly entries?: readonly Entry[];
  readonly accepts: (keys: EventKeys) => boolean;
}

/** The conditions of a query, as numbers. One that everything meets is left out. */
export function facets(criteria: Criteria, { topics, types, sources }: Dictionaries): Facet[] {
  const { patterns, types: typeNames, source } = criteria;
  const list: Facet[] = [];
  if (!patterns.includes('>')) list.push(topicFacet(patterns, topics));
  if (typeNames) list.push(nameFacet('type', typeNames, types));
  if (source !== undefined) list.push(nameFacet('source', [source], sources));
  return list;
}

function nameFacet(column: Column, names: readonly string[], dictionary: Dictionary): Facet {
  return entriesFacet(
    column,
    [...new Set(names)].flatMap((name) => dictionary.find(name) ?? []),
  );
}

function topicFacet(patterns: readonly string[], topics: Dictionary): Facet {
  if (patterns.every(isLiteral)) return nameFacet('topic', patterns, topics);
  const entries = resolve(patterns, topics);
  if (entries) return entriesFacet('topic', entries);
  const verdicts = new Map<number, boolean>();
  return {
    column: 'topic',
    accepts: ({ topic }) => {
      let verdict = verdicts.get(topic);
      if (verdict === undefined) {
        verdict = matchesAny(patterns, topics.nameOf(topic));
        verdicts.set(topic, verdict);
      }
      return verdict;
    },
  };
}

function entriesFacet(column: Column, entries: readonly Entry[]): Facet {
  const ids = new Set(entries.map(({ id }) => id));
  return { column, entries, accepts: (keys) => ids.has(keys[column]) };
}

/** The topics of the patterns, or `undefined` where it would take too long to find them. */
function resolve(patterns: readonly string[], topics: Dictionary): Entry[] | undefined {
  const found: Entry[] = [];
  let looked = 0;
  for (const range of topicRanges(patterns)) {
    for (let after = ''; ; ) {
      const names = topics.range({ ...range, after, limit: NAMES_PER_READ });
      looked += names.length;
      found.push(...names.filter(({ name }) => matchesAny(patterns, name)));
      if (found.length > MERGED_TOPICS_MAX || looked > RESOLVED_NAMES_MAX) return undefined;
      if (names.length < NAMES_PER_READ) break;
      after = names.at(-1)?.name ?? '';
    }
  }
  return found;
}

export function matchesAny(patterns: readonly string[], topic: string): boolean {
  return patterns.some((pattern) => matches(pattern, topic));
}
