import { isLiteral, PatternMatcher, TypeFilter } from '@tidemark/protocol';
import type { Column, Dictionaries, Dictionary, DictionaryEntry } from '../sqlite/dictionary.ts';
import type { EventKeys } from '../sqlite/event-table.ts';
import { type NameRange, topicRanges, typeRange } from './topic-ranges.ts';

/** Most topics or types of a pattern that are read one by one; with more of them the events are scanned. */
export const MERGED_NAMES_MAX = 1000;

/** Names looked at, and the time for it, to find those that match before the events are scanned. */
const RESOLVED_NAMES_MAX = 5000;
const RESOLVED_MS_MAX = 5;
const NAMES_PER_READ = 250;

/** Topics or types that a scan remembers as matching or not. */
const VERDICTS_MAX = 10_000;

/** Which events a reader wants. */
export interface Criteria {
  /** Events whose topic matches any of these. */
  readonly patterns: readonly string[];
  /** Events of any of these types, each exact or with `*` at its end; all when absent. */
  readonly types?: readonly string[];
  /** Events of this source; all when absent. */
  readonly source?: string;
}

/** A condition on one column. */
export interface Filter {
  readonly column: Column;
  /** The names that pass it; absent where they are too many to be read one by one. */
  readonly entries?: readonly DictionaryEntry[];
  readonly accepts: (keys: EventKeys) => boolean;
}

/**
 * The criteria as conditions on ids. A criterion that every event meets needs no filter.
 *
 * @param resolveMs how long names are looked for before events are scanned instead
 */
export function createFilters(
  criteria: Criteria,
  dictionaries: Dictionaries,
  resolveMs = RESOLVED_MS_MAX,
): Filter[] {
  const { patterns, types: typeNames, source } = criteria;
  const { topics, types, sources } = dictionaries;
  const filters: Filter[] = [];
  if (!patterns.includes('>')) filters.push(topicFilter(patterns, topics, resolveMs));
  const typeFilter = new TypeFilter(typeNames ?? ['*']);
  if (!typeFilter.isAll) filters.push(typesFilter(typeFilter, types, resolveMs));
  if (source !== undefined) filters.push(nameFilter('source', [source], sources));
  return filters;
}

function nameFilter(column: Column, names: readonly string[], dictionary: Dictionary): Filter {
  return entriesFilter(column, entriesOf(names, dictionary));
}

function entriesOf(names: readonly string[], dictionary: Dictionary): DictionaryEntry[] {
  return [...new Set(names)].flatMap((name) => dictionary.findEntry(name) ?? []);
}

function topicFilter(patterns: readonly string[], topics: Dictionary, resolveMs: number): Filter {
  const wild = patterns.filter((pattern) => !isLiteral(pattern));
  if (wild.length === 0) return nameFilter('topic', patterns, topics);
  const matcher = new PatternMatcher(patterns);
  const matches = (topic: string): boolean => matcher.matches(topic);
  // One by one, a name is found in a fifth of the time.
  const isWild = new PatternMatcher(wild);
  const named = patterns.filter((pattern) => isLiteral(pattern) && !isWild.matches(pattern));
  const found = findMatching(topicRanges(wild), (topic) => isWild.matches(topic), {
    dictionary: topics,
    resolveMs,
  });
  return found
    ? entriesFilter('topic', [...found, ...entriesOf(named, topics)])
    : verdictFilter('topic', matches, topics);
}

function typesFilter(filter: TypeFilter, types: Dictionary, resolveMs: number): Filter {
  const { exact, prefixes } = filter;
  if (prefixes.length === 0) return nameFilter('type', exact, types);
  const matches = (type: string): boolean => filter.accepts(type);
  const named = exact.flatMap((type) => types.findEntry(type) ?? []);
  const found = findMatching(prefixes.map(typeRange), matches, { dictionary: types, resolveMs });
  return found
    ? entriesFilter('type', [...named, ...found])
    : verdictFilter('type', matches, types);
}

function entriesFilter(column: Column, entries: readonly DictionaryEntry[]): Filter {
  const ids = new Set(entries.map(({ id }) => id));
  return { column, entries, accepts: (keys) => ids.has(keys[column]) };
}

/** Looks at a name when an event has it. */
function verdictFilter(
  column: Column,
  matches: (name: string) => boolean,
  dictionary: Dictionary,
): Filter {
  const verdicts = new Map<number, boolean>();
  return {
    column,
    accepts: ({ [column]: id }) => {
      let verdict = verdicts.get(id);
      if (verdict === undefined) {
        verdict = matches(dictionary.nameOf(id));
        if (verdicts.size >= VERDICTS_MAX) verdicts.clear();
        verdicts.set(id, verdict);
      }
      return verdict;
    },
  };
}

/** The names within ranges that match, or `undefined` where it would take too long to find them. */
function findMatching(
  ranges: readonly NameRange[],
  matches: (name: string) => boolean,
  { dictionary, resolveMs }: { readonly dictionary: Dictionary; readonly resolveMs: number },
): DictionaryEntry[] | undefined {
  const deadlineMs = performance.now() + resolveMs;
  const found: DictionaryEntry[] = [];
  let looked = 0;
  for (const range of ranges) {
    for (let after: string | undefined = ''; after !== undefined; ) {
      const entries = dictionary.listEntries({ ...range, after, limit: NAMES_PER_READ });
      looked += entries.length;
      found.push(...entries.filter(({ name }) => matches(name)));
      if (found.length > MERGED_NAMES_MAX || looked > RESOLVED_NAMES_MAX) return undefined;
      if (performance.now() >= deadlineMs) return undefined;
      after = entries.length < NAMES_PER_READ ? undefined : entries.at(-1)?.name;
    }
  }
  return found;
}
