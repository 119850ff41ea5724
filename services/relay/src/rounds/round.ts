import { type OutboxRow, RowError, toEventText } from '../outbox/row.ts';
import { Stopwatch } from '../outbox/stopwatch.ts';
import type { OutboxStore } from '../outbox/store.ts';
import type { Sent } from '../requests/ingest.ts';
import type { Counters } from './counters.ts';
import { type Delivered, deliver, type Sendable, setAside } from './delivery.ts';
import type { HeldTopics } from './held-topics.ts';
import { type LookUpRequests, lookUpRows } from './look-ups.ts';
import type { Waits } from './waits.ts';

/** The part of the time of recognition that a round may take from the reading of its rows to the last of its requests. */
const ROUND_PART = 0.25;

/** The part of it in which look-ups begin. What they have found is used before the round ends. */
const LOOK_UPS_PART = 0.1;

/** What a round needs. */
export interface RoundOptions extends LookUpRequests {
  readonly store: OutboxStore;
  readonly held: HeldTopics;
  readonly counters: Counters;
  readonly waits: Waits;
  readonly post: (events: readonly string[]) => Promise<Sent>;
  readonly proven: () => boolean;
  readonly batchRows: number;
  readonly batchBytes: number;
  /** How long after its first attempt a row may be sent again without a look-up, in ms. */
  readonly recognisedMs: number;
}

/** How a round ended. `idle`: there was nothing to do. */
export type RoundEnd = Delivered | { readonly end: 'idle' };

/**
 * One round: reads the first rows that wait, looks up those that were sent too long ago for the stream to recognise
 * them, marks the others, and sends them. What it leaves is there for the next round.
 */
export async function runRound(options: RoundOptions): Promise<RoundEnd> {
  const { store, held, batchRows, batchBytes, recognisedMs } = options;
  const begun = new Stopwatch();
  const inTime = () => begun.elapsedMs < recognisedMs * ROUND_PART;
  const exceptTopics = held.list();
  const rows = await store.readRows({
    rowsMax: batchRows,
    bytesMax: batchBytes,
    exceptTopics,
  });
  if (rows.length === 0) {
    // Nothing was left out, so the topics that were held before have no rows any more.
    if (exceptTopics.length === 0) held.clear();
    return { end: 'idle' };
  }
  const old = rows.filter(({ attempted }) => (attempted?.ageMs ?? 0) >= recognisedMs);
  const settled = old.length > 0 ? await settle(old, begun, options) : NOTHING_SETTLED;
  if (!settled)
    return { end: 'wait', reason: 'Too many topics wait for look-ups.', retryAfterMs: 0 };
  const left = rows.filter(({ position }) => !settled.done.has(position));
  const sendable = await toSendable(beforeUnsettled(left, settled.left), options);
  if (sendable.length === 0) return { end: 'done' };
  // What was found absent was looked up just now; if that took long, it is looked up again.
  if (!inTime()) return { end: 'interrupted' };
  const marked = await mark(sendable, recognisedMs, store);
  return deliver(marked, { ...options, maySend: () => store.holdsLock && inTime(), onHeld });

  function onHeld(reason: string): void {
    options.waits.begin('topics', reason);
  }
}

/** The positions of rows that are done with, and of those of which it is not known whether they are stored. */
interface Settled {
  readonly done: ReadonlySet<string>;
  readonly left: ReadonlySet<string>;
}

const NOTHING_SETTLED: Settled = { done: new Set(), left: new Set() };

/** Nothing of a topic is sent behind a row that may be stored or not. */
function beforeUnsettled(rows: readonly OutboxRow[], left: ReadonlySet<string>): OutboxRow[] {
  const blocked = new Set<string>();
  return rows.filter(({ position, topic }) => {
    if (left.has(position)) blocked.add(topic);
    return !blocked.has(topic);
  });
}

/**
 * Looks old rows up. Topics whose rows cannot be told are held.
 *
 * @returns `undefined` where too many would be held
 */
async function settle(
  old: readonly OutboxRow[],
  begun: Stopwatch,
  options: RoundOptions,
): Promise<Settled | undefined> {
  const { store, held, counters, waits, recognisedMs } = options;
  const inTime = () => begun.elapsedMs < recognisedMs * LOOK_UPS_PART;
  const { stored, absent, unknown } = await lookUpRows(old, options, inTime);
  if (stored.length > 0) await store.deleteRows(stored.map(({ position }) => position));
  for (const { topic } of stored) held.release(topic);
  counters.known('found', stored.length);
  const lost = unknown.filter(({ why }) => why.forGood);
  await setAside(
    lost.map(({ row, why }) => ({ row, failure: `unknown: ${why.unknown}` })),
    options,
  );
  const later = unknown.filter(({ why }) => !why.forGood);
  const [first] = later;
  if (first) waits.begin('lookups', first.why.unknown);
  else waits.end('lookups');
  const topics = new Set(later.map(({ row }) => row.topic));
  if (![...topics].every((topic) => held.hold(topic))) return undefined;
  const done = positionsOf([...stored, ...lost.map(({ row }) => row)]);
  const known = new Set([...done, ...positionsOf(absent)]);
  return { done, left: new Set([...positionsOf(old)].filter((one) => !known.has(one))) };
}

function positionsOf(rows: readonly OutboxRow[]): Set<string> {
  return new Set(rows.map(({ position }) => position));
}

/** The events of rows. A row that none can be made of is set aside. */
async function toSendable(rows: readonly OutboxRow[], options: RoundOptions): Promise<Sendable[]> {
  const sendable: Sendable[] = [];
  const broken: { row: OutboxRow; failure: string }[] = [];
  for (const row of rows) {
    try {
      sendable.push({ row, text: toEventText(row) });
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      broken.push({ row, failure: error.message });
    }
  }
  await setAside(broken, options);
  return sendable;
}

/** Marks rows, and leaves out those that have gone meanwhile. */
async function mark(
  sendable: readonly Sendable[],
  recognisedMs: number,
  store: OutboxStore,
): Promise<Sendable[]> {
  const isOld = ({ row }: Sendable) => (row.attempted?.ageMs ?? 0) >= recognisedMs;
  const unmarked = sendable.filter((one) => !one.row.attempted || isOld(one));
  if (unmarked.length === 0) return [...sendable];
  const positions = unmarked.map(({ row }) => row.position);
  const anew = sendable.filter(isOld).map(({ row }) => row.position);
  const marked = await store.markAttempted(positions, anew);
  const gone = new Set(positions.filter((position) => !marked.has(position)));
  return sendable.filter(({ row }) => !gone.has(row.position));
}
