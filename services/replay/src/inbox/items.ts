import {
  type CountsData,
  compactMark,
  InboxCounter,
  InboxFilter,
  type InboxMark,
  NEVER_MS,
  nextReturnMs,
  unreadCandidates,
} from '@tidemark/protocol';
import { requireLost } from '../history/range.ts';
import { type RunStep, type Step, walkRange } from '../history/walk.ts';
import type { ArchivedHeader } from '../sqlite/header-table.ts';
import type { Order } from '../sqlite/log-range.ts';
import { cursorOf, type Inbox, type InboxesOptions } from './inboxes.ts';

/** Most events of the topics of an inbox that one count looks at, the newest first. */
export const LOOKED_MAX = 10_000;

/**
 * Most steps of one count or page, which take turns with those of others: two seconds of work, which only a scan of a
 * long log needs. A step ends by the clock, so on a busy machine it does less, and a count must not depend on that.
 */
export const STEPS_MAX = 400;

const STEP_EVENTS_MAX = 1000;
const STEP_BYTES_MAX = 256 * 1024;

/** Exceptions that one step looks up. */
const LOOKUPS_PER_STEP = 500;

/** What an inbox is read with. */
export interface ItemsOptions extends Pick<InboxesOptions, 'isElsewhere'> {
  readonly runStep: RunStep;
}

/** What is read of an inbox's topics. */
export interface InboxWalk {
  readonly patterns: readonly string[];
  readonly types?: readonly string[] | undefined;
  readonly after: number;
  readonly through: number;
  readonly order: Order;
  readonly read: 'events' | 'headers' | 'topics';
  /** Asked before each step; `undefined` ends the walk. */
  readonly limits: () => { readonly eventsMax: number; readonly bytesMax: number } | undefined;
}

/** Walks events that may be items, in steps like those of history. From the record of an erasure on it has none of them. */
export async function* walkInbox(
  inbox: Inbox,
  { patterns, types, after, through, order, read, limits }: InboxWalk,
  { runStep, isElsewhere }: ItemsOptions,
): AsyncGenerator<Step> {
  const { archive, bounds } = inbox;
  const criteria = { patterns, ...(types && { types }) };
  const steps = walkRange(
    {
      archive,
      range: { after, through },
      requireLost: (hole) => requireLost({ isElsewhere }, bounds.epoch, hole),
    },
    { criteria, order },
    { limits, runStep, select: () => archive.selectOnce(criteria, read) },
  );
  for await (const step of steps) {
    if (!archive.erasing) yield step;
    else yield { ...step, events: step.events.filter((event) => !archive.isErased(event)) };
  }
}

/** An event without its content; `undefined` also where it is erased. */
export function findHeader({ archive }: Pick<Inbox, 'archive'>, sequence: number) {
  const header = archive.findHeader(sequence);
  return header && archive.erasing && archive.isErased(header) ? undefined : header;
}

/** Bounds a walk by the events that it finds and by its steps. */
export class LookLimits {
  #looked = 0;
  #steps = 0;
  #ended = false;

  /** Whether the walk ended because of them. */
  get ended(): boolean {
    return this.#ended;
  }

  /** What the next step may read; `undefined` where there is none. */
  readonly next = () => {
    const left = LOOKED_MAX - this.#looked;
    this.#ended = left <= 0 || this.#steps++ >= STEPS_MAX;
    if (this.#ended) return undefined;
    return { eventsMax: Math.min(left, STEP_EVENTS_MAX), bytesMax: STEP_BYTES_MAX };
  };

  note(events: number): void {
    this.#looked += events;
  }
}

/** Counts one event. @returns whether older events can still change the counts */
type Count = (header: ArchivedHeader) => boolean;

/**
 * Counts the items of an inbox. It looks at what lies behind the marks and at their exceptions, the newest first, and
 * at no more than `LOOKED_MAX` events in `STEPS_MAX` steps; beyond that there are `more`.
 *
 * @param nowMs milliseconds since 1970
 * @throws what `walkRange` throws
 */
export async function countItems(
  inbox: Inbox,
  nowMs: number,
  options: ItemsOptions,
): Promise<CountsData> {
  const { state, filter, bounds } = inbox;
  const counter = new InboxCounter(state, nowMs);
  const count: Count = (header) => !filter.accepts(header) || counter.add(header);
  const { after, others } = unreadCandidates(state);
  const limits = new LookLimits();
  const isOpen = await countBehind(inbox, { after, count, limits }, options);
  if (limits.ended) counter.noteMore();
  else if (isOpen) await countEach(inbox, { sequences: others, count }, options);
  const untilMs = Math.min(counter.nextExpiryMs, nextReturnMs(state, nowMs));
  return {
    ...counter.counts,
    cursor: cursorOf(inbox, bounds.lastSequence),
    ...(untilMs !== NEVER_MS && { until: new Date(untilMs).toISOString() }),
  };
}

interface Behind {
  readonly after: number;
  readonly count: Count;
  readonly limits: LookLimits;
}

/** @returns whether older events can still change the counts */
async function countBehind(
  inbox: Inbox,
  { after, count, limits }: Behind,
  options: ItemsOptions,
): Promise<boolean> {
  const { filter, bounds } = inbox;
  const read = filter.usesTypes ? 'headers' : 'topics';
  const range = { after, through: bounds.lastSequence, order: 'desc', read } as const;
  const wanted = { ...range, patterns: filter.patterns, limits: limits.next };
  for await (const { events } of walkInbox(inbox, wanted, options)) {
    limits.note(events.length);
    if (!events.every((event) => count(event as ArchivedHeader))) return false;
  }
  return true;
}

async function countEach(
  inbox: Inbox,
  { sequences, count }: { readonly sequences: readonly number[]; readonly count: Count },
  { runStep }: ItemsOptions,
): Promise<void> {
  for (let at = 0; at < sequences.length; at += LOOKUPS_PER_STEP) {
    const part = sequences.slice(at, at + LOOKUPS_PER_STEP);
    const isOpen = await runStep(() =>
      part.every((sequence) => {
        const header = findHeader(inbox, sequence);
        return !header || count(header);
      }),
    );
    if (!isOpen) return;
  }
}

/**
 * Moves the position of a mark with many exceptions forward. What is muted at present, or not permitted to this
 * token, keeps its flags too, because it may be shown again.
 *
 * @throws what `walkRange` throws
 */
export async function compactBehind(
  inbox: Inbox,
  mark: InboxMark,
  options: ItemsOptions,
): Promise<InboxMark> {
  const { state, topics, bounds } = inbox;
  const filter = new InboxFilter({ topics, follows: state.follows, mutes: [] });
  const limits = new LookLimits();
  const range = { after: mark.upTo, through: bounds.lastSequence, order: 'asc' } as const;
  const wanted = { ...range, read: 'headers', patterns: filter.patterns } as const;
  const items: number[] = [];
  let through = mark.upTo;
  for await (const step of walkInbox(inbox, { ...wanted, limits: limits.next }, options)) {
    limits.note(step.events.length);
    for (const event of step.events) {
      if (filter.accepts(event as ArchivedHeader)) items.push(event.sequence);
    }
    through = step.remaining.after;
  }
  return compactMark(mark, items, through);
}
