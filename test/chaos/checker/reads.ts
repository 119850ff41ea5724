import { parseStart } from '@tidemark/protocol';
import type { ReadRecord } from '../history.ts';
import type { Permissions } from './connections.ts';
import { UNKNOWN_ARCHIVE } from './gaps.ts';
import type { Place } from './lineage.ts';
import type { FinalLog, TopicFilter } from './log.ts';

const CONTENT = 'pages equal the log';
const HOLE = 'pages have no hole';
const ORDER = 'pages are in order';
const FALSE_GAP = 'the gaps of pages are true';

/** The part of the log that an answer covers: sequences from `from` to `to`, both included. */
interface Covered {
  readonly from: number;
  readonly to: number;
}

/** Checks pages of history, and exports: each equals the log in its range. */
export class Reads {
  readonly #permissions: Permissions;
  count = 0;
  items = 0;

  constructor(permissions: Permissions) {
    this.#permissions = permissions;
  }

  check(read: ReadRecord): void {
    this.count++;
    this.items += read.items.length;
    const { log } = this.#permissions.truth;
    this.#checkToken(read);
    const places = read.items.map(([cursor]) => log.places.find(cursor));
    const filter = log.filter(read.topics);
    this.#checkItems(read, places, filter);
    const covered = coveredBy(read, places, log);
    this.#checkBounds(read, places, covered);
    this.#checkHoles(read, places, covered, filter);
    this.#checkGaps(read, filter);
  }

  #checkToken(read: ReadRecord): void {
    const { tokens, bounds, truth, publishedMs } = this.#permissions;
    const token = tokens.get(read.token);
    if (!token) return;
    const endMs = tokens.endMs(token, read.replay, bounds, truth.faults);
    const last = read.items.reduce((latest, [, id]) => Math.max(latest, publishedMs(id)), 0);
    const isLate = read.askedAtMs > endMs || last > endMs;
    if (isLate) {
      const text = `was answered, and its token ${token.name} had ended before ${endMs}`;
      this.#violate('nobody beyond permission', read, text);
    }
    const beyond = read.items.find(([, id]) => {
      const topic = truth.topicOf(id);
      return topic !== undefined && !token.mayRead(topic);
    });
    if (!beyond) return;
    const [cursor, id] = beyond;
    const text = `has ${id} of ${truth.topicOf(id)} at ${cursor}, which its token ${token.name} does not permit`;
    this.#violate('nobody beyond permission', read, text, id);
  }

  /** Each item is the log's, and of the topics; all of them are in the order that was asked for. */
  #checkItems(read: ReadRecord, places: readonly Place[], filter: TopicFilter): void {
    const { log, faults, topicOf } = this.#permissions.truth;
    const sign = read.order === 'asc' ? 1 : -1;
    let before: Place | undefined;
    for (const [index, [cursor, id]] of read.items.entries()) {
      const place = places[index];
      if (!place) continue;
      if (before && (place.raw - before.raw) * sign <= 0) {
        this.#violate(ORDER, read, `has ${cursor} after ${before.epoch}-${before.raw}`, id);
      }
      before = place;
      if (place.lost) continue;
      const isRight = log.idOf(place.sequence) === id && log.isMatch(filter, place.sequence);
      const hasGone = faults.mayLoseStart && log.hasLeft(place.sequence);
      const isLost =
        topicOf(id) !== undefined && (hasGone || faults.mayLoseEndAfter(read.askedAtMs));
      if (isRight || isLost) continue;
      const held = `${log.idOf(place.sequence)} of ${log.topicOf(place.sequence)}`;
      const text = `(${read.topics}) has ${id} of ${topicOf(id)} at ${cursor}, where the log has ${held}`;
      this.#violate(CONTENT, read, text, id);
    }
    if (read.limit !== undefined && read.items.length > read.limit) {
      this.#violate(CONTENT, read, `has ${read.items.length} items, more than ${read.limit}`);
    }
  }

  #checkBounds(read: ReadRecord, places: readonly Place[], { from, to }: Covered): void {
    const { log, faults } = this.#permissions.truth;
    for (const [index, place] of places.entries()) {
      if (place.lost || (place.sequence >= from && place.sequence <= to)) continue;
      // The begin at a time is not known of events that are gone.
      if (faults.mayLoseStart && log.hasLeft(place.sequence)) continue;
      const [cursor, id] = read.items[index] ?? [];
      const text = `has ${id} at ${cursor}, outside of ${from} to ${to}`;
      this.#violate(CONTENT, read, text, id);
      return;
    }
  }

  #checkHoles(
    read: ReadRecord,
    places: readonly Place[],
    { from, to }: Covered,
    filter: TopicFilter,
  ): void {
    const { log, faults } = this.#permissions.truth;
    const held = new Set(places.filter(({ lost }) => !lost).map(({ sequence }) => sequence));
    const gaps = read.gaps.map((gap) => rangeOf(gap, log));
    // An answer that begins at the first event begins after those that are gone.
    const isAfter = read.after !== undefined && parseStart(read.after).kind === 'cursor';
    const nextOf = (after: number) =>
      isAfter ? log.nextKnown(filter, after, to) : log.nextMatch(filter, after, to);
    let first = 0;
    let missing = 0;
    for (let next = nextOf(from - 1); next; next = nextOf(next)) {
      if (held.has(next)) continue;
      if (gaps.some((gap) => next >= gap.from && next <= gap.to)) continue;
      if (log.attemptMsOf(next) > read.atMs && faults.mayHaveLostEnd(read.atMs)) continue;
      first ||= next;
      missing++;
    }
    if (missing === 0) return;
    const text = `(${read.topics}, ${read.order}) lacks ${missing} events of ${from} to ${to}, the first ${log.idOf(first)} of ${log.topicOf(first)} at ${first}`;
    this.#violate(HOLE, read, text, log.idOf(first));
  }

  #checkGaps(read: ReadRecord, filter: TopicFilter): void {
    const { log, faults, found } = this.#permissions.truth;
    for (const gap of read.gaps) {
      if (gap.reason !== 'expired') continue;
      const { from, to } = rangeOf(gap, log);
      let next = log.nextMatch(filter, from - 1, to);
      const isRegrown = () => log.attemptMsOf(next) > read.atMs && faults.mayHaveLostEnd(read.atMs);
      while (next && isRegrown()) next = log.nextMatch(filter, next, to);
      if (!next) continue;
      if (faults.mayNotKnowArchive(read.replay, read.atMs)) {
        found.except(UNKNOWN_ARCHIVE);
        continue;
      }
      const text = `tells a gap ${gap.from} to ${gap.to}, and a store has ${log.idOf(next)} at ${next}`;
      this.#violate(FALSE_GAP, read, text, log.idOf(next));
    }
  }

  #violate(check: string, read: ReadRecord, text: string, id?: string): void {
    const { found, topicOf } = this.#permissions.truth;
    const topic = id === undefined ? undefined : topicOf(id);
    const concern = { reader: read.reader, ...(id && { id }), ...(topic && { topic }) };
    found.violate(check, read.atMs, `the ${read.kind} of ${read.reader} ${text}`, concern);
  }
}

/** The part of the range that the answer says it covers: from its start up to `next`. */
function coveredBy(read: ReadRecord, places: readonly Place[], log: FinalLog): Covered {
  const { before, order, next, complete } = read;
  const last = places.at(-1);
  const start = firstOf(read, log);
  const end = before === undefined ? log.lastSequence : endOf(log.places.find(before));
  const reached = next ? log.places.find(next) : undefined;
  if (order === 'asc') {
    const to = reached?.sequence ?? last?.sequence ?? 0;
    return { from: start, to: Math.min(end, to) };
  }
  // Without `before`, the answer began at the end of the archive at that time.
  const [top] = places;
  const to = before === undefined ? (top?.sequence ?? 0) : end;
  if (complete) return { from: start, to };
  const lowest = reached ? reached.sequence + (reached.lost ? 1 : 0) : (last?.sequence ?? to + 1);
  return { from: Math.max(start, lowest), to };
}

/** The last sequence before a cursor. A lost cursor comes after everything that the log shares with it. */
function endOf({ sequence, lost }: Place): number {
  return lost ? sequence : sequence - 1;
}

function firstOf({ after }: ReadRecord, log: FinalLog): number {
  if (after === undefined) return 1;
  const start = parseStart(after);
  if (start.kind === 'cursor') return log.places.find(after).sequence + 1;
  if (start.kind === 'latest') return log.lastSequence + 1;
  if (start.kind !== 'time') return 1;
  let sequence = log.firstSequence;
  const isBefore = () => log.timeMsOf(sequence) < start.timeMs;
  while (sequence <= log.lastSequence && (!log.has(sequence) || isBefore())) sequence++;
  return sequence;
}

function rangeOf({ from, to }: { from: string; to: string }, log: FinalLog): Covered {
  const after = log.places.find(from);
  return { from: after.foreign ? 1 : after.sequence + 1, to: log.places.find(to).sequence };
}
