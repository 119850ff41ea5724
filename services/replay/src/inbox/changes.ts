import { randomUUID } from 'node:crypto';
import type { Rate } from '@tidemark/http';
import type { AppendedEvent, EventAppender, Precondition } from '@tidemark/nats';
import {
  asTidemarkError,
  type CloudEvent,
  type CountsData,
  changeInbox,
  encodeInbox,
  formatCursor,
  INBOX_EVENT_TYPE,
  INBOX_IDS_MAX,
  type InboxChange,
  type InboxData,
  type InboxState,
  type LogBounds,
  type Position,
  parseCursor,
  TidemarkError,
} from '@tidemark/protocol';
import type { Metrics, Span } from '@tidemark/telemetry';
import type { HistorySource } from '../history/range.ts';
import type { Progress } from '../projector/progress.ts';
import { cursorOf, type Inbox, type Inboxes, type InboxOwner } from './inboxes.ts';
import { compactBehind, countItems, type ItemsOptions } from './items.ts';
import { EXCEPTIONS_MAX, MARKS, requireLimits } from './limits.ts';

/** Attempts of one change while other devices change the inbox too. */
const ATTEMPTS_MAX = 8;

/** How long one attempt waits until the archive has the change of another device, or its own. */
const ARCHIVE_WAIT_MS = 2000;

export interface ChangesOptions
  extends Omit<ItemsOptions, 'runStep'>,
    Pick<HistorySource, 'readBounds'> {
  readonly inboxes: Inboxes;
  readonly appender: Pick<EventAppender, 'append' | 'lastCursor'>;
  readonly progress: Pick<Progress, 'waitForSequence'>;
  readonly metrics: Metrics;
  /** Limits the changes of one user. */
  readonly rate: Rate;
  readonly followsMax: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** A change that a user asks for. */
export interface ChangeRequest extends Pick<ItemsOptions, 'runStep'> {
  readonly owner: InboxOwner;
  /** The same for a repeat. */
  readonly id?: string | undefined;
  /** What clients are told that the change was. */
  readonly described: Readonly<Record<string, unknown>>;
  /** What the request means for an inbox. Throws where it means nothing. */
  readonly toChange: (inbox: Inbox) => InboxChange | Promise<InboxChange>;
  readonly parent: Span;
}

/** What a change made of an inbox. */
export interface ChangeResult extends CountsData {
  /** The cursor of the event that has the change; `null` where nothing changed. */
  readonly changed: string | null;
}

/**
 * Changes inboxes. A change appends one event with all that the inbox holds then, on the condition that no other
 * change came in between: of several devices and replay services one is first, and the others begin again with what
 * it made of the inbox.
 */
export class InboxChanges {
  readonly #options: ChangesOptions;
  readonly #results;
  /** The last change of each inbox that is under way here. Those of one inbox would only be in each other's way. */
  readonly #underWay = new Map<string, Promise<unknown>>();

  constructor(options: ChangesOptions) {
    this.#options = options;
    this.#results = options.metrics.counter('inbox_changes_total', 'Changes of inboxes.', [
      'result',
    ]);
  }

  /**
   * Makes a change, or nothing where it makes no difference.
   *
   * @throws TidemarkError `limit_exceeded`; `unavailable` where the stream or the archive does not follow in time, or
   *   where other devices were always first; what `toChange` throws
   */
  async make(request: ChangeRequest): Promise<ChangeResult> {
    const { owner } = request;
    this.#options.rate.consume(owner.subject);
    const before = this.#underWay.get(owner.topic) ?? Promise.resolve();
    const change = before.then(() => this.#attemptAll(request));
    const ended = change.catch(() => undefined);
    this.#underWay.set(owner.topic, ended);
    try {
      const result = await change;
      this.#results.inc({ result: result.changed === null ? 'unchanged' : 'changed' });
      return result;
    } catch (error) {
      this.#results.inc({ result: asTidemarkError(error).code });
      throw error;
    } finally {
      if (this.#underWay.get(owner.topic) === ended) this.#underWay.delete(owner.topic);
    }
  }

  async #attemptAll(request: ChangeRequest): Promise<ChangeResult> {
    let told: Told | undefined;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const inbox = this.#options.inboxes.open(request.owner);
      try {
        return await this.#attempt(request, inbox, told);
      } catch (error) {
        told = toldBy(error, inbox);
        if (told.last) await this.#waitFor(formatCursor(told.last));
      }
    }
    throw new TidemarkError('unavailable', 'Other devices change this inbox all the time.', {
      retryAfterSeconds: 1,
    });
  }

  /** @throws TidemarkError `precondition_failed` where another change came first */
  async #attempt(
    request: ChangeRequest,
    inbox: Inbox,
    told: Told | undefined,
  ): Promise<ChangeResult> {
    const { id, toChange } = request;
    const { now } = this.#options;
    const { state } = inbox;
    const moment = { end: inbox.bounds.lastSequence, nowMs: now() };
    const isRepeat = id !== undefined && state.recent.includes(id);
    const wanted = isRepeat ? state : changeInbox(state, await toChange(inbox), moment);
    if (wanted === state) {
      // Of an older state nobody can say that the change makes no difference. A repeat is certain.
      if (!isRepeat) await this.#requireNewest(inbox);
      return { changed: null, ...(await this.#count(inbox, request)) };
    }
    const next = withId(await this.#compact(inbox, wanted, request), id);
    const changed = this.#options.inboxes.withState(inbox, next);
    const data = encodeInbox(next, (sequence) => cursorOf(inbox, sequence));
    requireLimits(next, data, this.#options);
    const counts = await this.#count(changed, request);
    const { cursor } = await this.#append(
      inbox,
      { topics: inbox.topics, ...data, counts, change: request.described },
      { told, parent: request.parent },
    );
    // So that the user's next request finds it here. The change is stored in any case.
    await this.#reaches(cursor);
    return { changed: cursor, ...counts };
  }

  /**
   * Stores again what an inbox holds, unless a change came first.
   *
   * @returns whether it was stored
   * @throws TidemarkError `unavailable`
   */
  async repeat(inbox: Inbox, data: InboxData): Promise<boolean> {
    let told: Told | undefined;
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        await this.#append(inbox, data, { told });
        return true;
      } catch (error) {
        told = toldBy(error, inbox);
      }
    }
    return false;
  }

  /**
   * Stores what an inbox holds.
   *
   * @param told what the stream answered to the attempt before
   * @throws TidemarkError as `EventAppender.append`
   */
  async #append(
    inbox: Inbox,
    data: InboxData,
    { told, parent }: { readonly told?: Told | undefined; readonly parent?: Span },
  ): Promise<AppendedEvent> {
    const { owner } = inbox;
    const precondition = preconditionOf(inbox, told);
    if (precondition === 'empty') await this.#requireReaching(inbox);
    const event: CloudEvent = {
      specversion: '1.0',
      id: randomUUID(),
      source: '/v1/inbox',
      type: INBOX_EVENT_TYPE,
      topic: owner.topic,
      time: new Date(this.#options.now()).toISOString(),
      publisher: owner.subject,
      data,
    };
    return this.#options.appender.append(event, { precondition, ...(parent && { parent }) });
  }

  /** @throws TidemarkError `precondition_failed` where the stream has a newer change */
  async #requireNewest(inbox: Inbox): Promise<void> {
    const { owner, last, bounds } = inbox;
    const cursor = await this.#options.appender.lastCursor(owner.topic);
    if (cursor === null) return this.#requireReaching(inbox);
    const newest = parseCursor(cursor);
    const known = last?.sequence ?? 0;
    const isSame = newest.epoch === bounds.epoch && newest.sequence === known;
    if (isSame || isForeign(newest, known, bounds)) return;
    throw new TidemarkError('precondition_failed', 'Another change came first.', { cursor });
  }

  /**
   * Requires that the archive has all that has left the stream: a stream without a change of the inbox says nothing of
   * those that it no longer has.
   *
   * @throws TidemarkError `unavailable`
   */
  async #requireReaching({ bounds }: Pick<Inbox, 'bounds'>): Promise<void> {
    const stream = await this.#options.readBounds(0);
    const isBehind = bounds.lastSequence + 1 < stream.firstSequence;
    if (stream.epoch === bounds.epoch && !isBehind) return;
    throw new TidemarkError('unavailable', 'The archive is behind the stream.', {
      retryAfterSeconds: 1,
    });
  }

  #count(inbox: Inbox, { runStep }: Pick<ChangeRequest, 'runStep'>): Promise<CountsData> {
    return countItems(inbox, this.#options.now(), { ...this.#options, runStep });
  }

  async #compact(inbox: Inbox, state: InboxState, { runStep }: ChangeRequest): Promise<InboxState> {
    let next = state;
    for (const name of MARKS) {
      if (next[name].except.length <= EXCEPTIONS_MAX) continue;
      const mark = await compactBehind(inbox, next[name], { ...this.#options, runStep });
      next = { ...next, [name]: mark };
    }
    return next;
  }

  async #waitFor(cursor: string): Promise<void> {
    if (await this.#reaches(cursor)) return;
    throw new TidemarkError('unavailable', 'The archive has not reached the last change yet.');
  }

  #reaches(cursor: string): Promise<boolean> {
    const { sequence } = parseCursor(cursor);
    return this.#options.progress.waitForSequence(sequence, ARCHIVE_WAIT_MS);
  }
}

function withId(state: InboxState, id: string | undefined): InboxState {
  if (id === undefined) return state;
  return { ...state, recent: [...state.recent, id].slice(-INBOX_IDS_MAX) };
}

/** What the stream answered to a condition that did not hold. */
interface Told {
  /** The last event that the topic of the inbox has in the stream; absent where it has none. */
  readonly last?: Position;
  /** The last one that the archive had then. */
  readonly archived: number;
}

/** @throws the error where it is another one */
function toldBy(error: unknown, { last }: Inbox): Told {
  const { code, details } = asTidemarkError(error);
  if (code !== 'precondition_failed') throw error;
  const { cursor } = details;
  return { archived: last?.sequence ?? 0, ...(cursor && { last: parseCursor(cursor) }) };
}

/**
 * The event that a change follows. The archive has it, unless the stream has removed it since, or it is one that
 * nobody vouches for and that is in no archive.
 */
function preconditionOf({ last, bounds }: Inbox, told: Told | undefined): Precondition {
  const sequence = last?.sequence ?? 0;
  const hasLeft = told !== undefined && !told.last && told.archived === sequence;
  if (told?.last && isForeign(told.last, sequence, bounds)) return told.last;
  return last && !hasLeft ? last : 'empty';
}

/** Whether the archive has passed an event without keeping it. */
function isForeign(position: Position, last: number, { epoch, lastSequence }: LogBounds): boolean {
  const isPassed = position.epoch === epoch && position.sequence <= lastSequence;
  return isPassed && position.sequence > last;
}
