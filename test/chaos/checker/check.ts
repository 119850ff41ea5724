import type { FinalRecord, HistoryRecord, RunBounds } from '../history.ts';
import { checkAcknowledged } from './acknowledged.ts';
import { checkStores } from './archives.ts';
import { checkConditions } from './conditions.ts';
import type { Permissions } from './connections.ts';
import { Faults } from './faults.ts';
import { FinalLog, readStores } from './log.ts';
import { Matchers } from './matchers.ts';
import { checkOrder } from './order.ts';
import { Publications } from './publications.ts';
import { Reads } from './reads.ts';
import { Subscriptions } from './subscriptions.ts';
import { timelineOf } from './timeline.ts';
import { Tokens } from './tokens.ts';
import { Findings, increase, type Violation } from './violation.ts';

/** The history of a run. It is read several times, so that memory does not have to hold it. */
export interface History {
  /** By `atMs`, ascending. */
  records(): Iterable<HistoryRecord>;
  final(): Iterable<FinalRecord>;
}

/** What the checker found in a history. */
export interface Report {
  /** The first violation by time, and the records around it as lines. */
  readonly first?: Violation & { readonly timeline: readonly string[] };
  /** Violations by the name of the promise. */
  readonly violations: Readonly<Record<string, number>>;
  /** What cannot be told (PROTOCOL.md section 5), and so is no violation. */
  readonly exceptions: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  /** Records by kind. */
  readonly records: Readonly<Record<string, number>>;
  /** Events in the log at the end. */
  readonly events: number;
  readonly subscriptions: number;
  /** Events that subscriptions took. */
  readonly deliveries: number;
  /** Items of pages and exports. */
  readonly items: number;
}

/** What the first pass over the records learns. */
interface Learned {
  readonly publications: Publications;
  readonly faults: Faults;
  readonly tokens: Tokens;
  readonly bounds: RunBounds;
  readonly kinds: Map<string, number>;
  readonly endMs: number;
}

/** Compares everything that clients saw in a run with what the stream and the archives hold at its end. */
export function check(history: History): Report {
  const stores = readStores(history.final());
  const log = new FinalLog(stores);
  const learned = learn(history.records());
  const { publications, faults, bounds, endMs } = learned;
  if (faults.mayLoseStart) log.learnGone(publications);
  log.learnTimes(publications);
  const found = new Findings();
  const published = { log, publications, faults, duplicatesMs: bounds.duplicatesMs };
  if (log.places.hasLost && !faults.mayHaveLostEnd(endMs)) {
    const text = `the log lost its end before ${log.places.epoch}, and no fault can have lost it`;
    found.violate('the log keeps its end', endMs, text, {});
  }
  checkAcknowledged(published, found);
  checkOrder(log, found);
  checkConditions(published, found);
  checkStores(stores, log, found);
  const { subscriptions, reads } = follow(history, learned, log, found);
  const first = found.first && {
    ...found.first,
    timeline: timelineOf(found.first, history.records()),
  };
  return {
    ...(first && { first }),
    violations: Object.fromEntries(found.violations),
    exceptions: Object.fromEntries(found.exceptions),
    faults: countFaults(faults),
    records: Object.fromEntries(learned.kinds),
    events: log.count,
    subscriptions: subscriptions.count,
    deliveries: subscriptions.received,
    items: reads.items,
  };
}

function learn(records: Iterable<HistoryRecord>): Learned {
  const publications = new Publications();
  const faults = new Faults();
  const tokens = new Tokens();
  const kinds = new Map<string, number>();
  let bounds: RunBounds | undefined;
  let endMs = 0;
  for (const record of records) {
    increase(kinds, record.kind);
    endMs = record.atMs;
    if (record.kind === 'run') bounds = record;
    else if (record.kind === 'publish-attempt') publications.attempt(record);
    else if (record.kind === 'publish-answer') publications.answer(record);
    else if (record.kind === 'fault') faults.add(record);
    else if (record.kind === 'token') tokens.add(record);
    else if (record.kind === 'revoked') tokens.revoke(record);
  }
  if (!bounds) throw new Error('The history has no record of the run.');
  return { publications, faults, tokens, bounds, kinds, endMs };
}

function follow(history: History, learned: Learned, log: FinalLog, found: Findings) {
  const { publications, faults, tokens, bounds, endMs } = learned;
  const matchers = new Matchers();
  const truth = {
    log,
    faults,
    found,
    matcher: (patterns: readonly string[]) => matchers.of(patterns),
    topicOf: (id: string) => publications.events.get(id)?.topic,
  };
  const publishedMs = (id: string) =>
    publications.events.get(id)?.publications[0]?.attempt.atMs ?? Number.NEGATIVE_INFINITY;
  const permissions: Permissions = { tokens, bounds, truth, publishedMs };
  const subscriptions = new Subscriptions(permissions);
  const reads = new Reads(permissions);
  for (const record of history.records()) {
    if (record.kind === 'page' || record.kind === 'export') reads.check(record);
    else subscriptions.take(record);
  }
  subscriptions.finish(endMs);
  return { subscriptions, reads };
}

function countFaults({ all }: Faults): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { fault } of all) increase(counts, fault);
  return Object.fromEntries(counts);
}
