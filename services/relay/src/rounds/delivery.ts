import type { OutboxRow } from '../outbox/row.ts';
import type { OutboxStore } from '../outbox/store.ts';
import type { Sent } from '../requests/ingest.ts';
import type { Counters } from './counters.ts';
import type { HeldTopics } from './held-topics.ts';

/** A row and its event as JSON. */
export interface Sendable {
  readonly row: OutboxRow;
  readonly text: string;
}

/** What a delivery needs. */
export interface DeliveryOptions {
  readonly store: OutboxStore;
  readonly held: HeldTopics;
  readonly counters: Counters;
  readonly post: (events: readonly string[]) => Promise<Sent>;
  /** Whether rows may be sent at this moment: the lock is held, and the marks are recent. */
  readonly maySend: () => boolean;
  /** Whether the token has published, so that `forbidden` is about a row. */
  readonly proven: () => boolean;
  /** A topic is held because its row failed. */
  readonly onHeld: (reason: string) => void;
}

/** How a delivery ended: `interrupted` where the rows may not be sent any more, `wait` where ingest takes none now. */
export type Delivered =
  | { readonly end: 'done' | 'interrupted' }
  | { readonly end: 'wait'; readonly reason: string; readonly retryAfterMs: number };

/** Topics of a delivery after which a token that has published nothing counts as the wrong one, so that all rows wait. */
const FORBIDDEN_TOPICS_MAX = 8;

const DONE: Delivered = { end: 'done' };

/**
 * Brings marked rows into the stream, and takes out of the outbox those that are there. Where ingest refuses a batch
 * and does not say which event is wrong, halves of it are sent until the wrong one is alone. Halves go one after the
 * other, and nothing of a topic is sent behind a row that failed and may not fail later.
 */
export function deliver(rows: readonly Sendable[], options: DeliveryOptions): Promise<Delivered> {
  return deliverPart(rows, { ...options, blocked: new Set() });
}

/** A part of a delivery. `blocked` has the topics of which nothing more may be sent, however long the delivery takes. */
interface PartOptions extends DeliveryOptions {
  readonly blocked: Set<string>;
}

async function deliverPart(rows: readonly Sendable[], options: PartOptions): Promise<Delivered> {
  const { blocked, maySend, post } = options;
  const batch = rows.filter(({ row }) => !blocked.has(row.topic));
  if (batch.length === 0) return DONE;
  if (!maySend()) return { end: 'interrupted' };
  const sent = await post(batch.map(({ text }) => text));
  if (sent.end === 'wait') return sent;
  if (sent.end === 'stored') {
    await finish(batch, sent.duplicates, options);
    return DONE;
  }
  if (sent.end === 'refused') {
    const { reasons } = sent;
    await setAside(
      batch.flatMap(({ row }, index) => {
        const failure = reasons.get(index);
        return failure === undefined ? [] : [{ row, failure }];
      }),
      options,
    );
    return deliverPart(
      batch.filter((_, index) => !reasons.has(index)),
      options,
    );
  }
  const [first] = batch;
  if (batch.length === 1 && first) {
    return decide(first.row, sent, options);
  }
  const middle = batch.length >> 1;
  const before = await deliverPart(batch.slice(0, middle), options);
  return before.end === 'done' ? deliverPart(batch.slice(middle), options) : before;
}

/** What a refusal of one event alone means. */
async function decide(
  row: OutboxRow,
  { code, reason }: Extract<Sent, { end: 'unclear' }>,
  options: PartOptions,
): Promise<Delivered> {
  const { store, held, counters, proven, onHeld, blocked } = options;
  if (code === 'erased') {
    // It was stored, and an operator has erased it since.
    await store.deleteRows([row.position]);
    held.release(row.topic);
    counters.known('duplicate', 1);
    return DONE;
  }
  // A fault of ingest may pass, and so may the fault of a token that was never right.
  if (code === 'internal' || (code === 'forbidden' && !proven())) {
    blocked.add(row.topic);
    const isHeld = held.hold(row.topic);
    onHeld(reason);
    const isTokenWrong = !proven() && blocked.size >= FORBIDDEN_TOPICS_MAX;
    return isHeld && !isTokenWrong ? DONE : { end: 'wait', reason, retryAfterMs: 0 };
  }
  await setAside([{ row, failure: reason }], options);
  return DONE;
}

/** Takes out of the outbox what the stream has. */
async function finish(
  batch: readonly Sendable[],
  duplicates: number,
  { store, held, counters }: DeliveryOptions,
): Promise<void> {
  await store.deleteRows(batch.map(({ row }) => row.position));
  for (const { row } of batch) held.release(row.topic);
  counters.stored(batch.length - duplicates);
  counters.known('duplicate', duplicates);
}

/** Leaves rows in the outbox that nobody tries any more, with the reason. */
export async function setAside(
  rows: readonly { readonly row: OutboxRow; readonly failure: string }[],
  { store, held, counters }: Pick<DeliveryOptions, 'store' | 'held' | 'counters'>,
): Promise<void> {
  if (rows.length === 0) return;
  await store.setAside(rows.map(({ row, failure }) => ({ position: row.position, failure })));
  for (const { row } of rows) held.release(row.topic);
  counters.setAside(rows.length);
}
