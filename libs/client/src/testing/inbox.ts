import { sequenceOf } from '../cursors.ts';
import type { InboxCounts, InboxItem, InboxPattern, ItemState } from '../inbox/types.ts';
import { topicMatcher, typeMatcher } from '../patterns.ts';
import { Refusal } from './answers.ts';
import { isReserved, type Permissions, requireCursor, requirePatterns } from './checks.ts';
import { type ItemMark, isMarked, markEach, markUpTo, NO_MARK } from './item-marks.ts';
import { expiryMs, type FakeLog, type Stored } from './log.ts';

const COUNT_MAX = 999;
const PAGE_DEFAULT = 100;
/** Ids of changes that an inbox remembers. */
const IDS_MAX = 20;
const MARKS = ['seen', 'read', 'archived', 'unread', 'unarchived', 'snoozed'] as const;
const CHANGES = ['follow', 'unfollow', 'mute', 'unmute'] as const;

/** The body of a mark (PROTOCOL 14.2). */
export interface MarkRequest {
  readonly mark: (typeof MARKS)[number];
  readonly upTo?: string;
  readonly cursors?: readonly string[];
  /** With `snoozed`: an RFC 3339 time. */
  readonly until?: string;
  readonly id?: string;
}

/** The body of a change of what the user follows (PROTOCOL 14.3). */
export interface FollowRequest extends InboxPattern {
  readonly change: (typeof CHANGES)[number];
  readonly id?: string;
}

/** What a change of an inbox is answered with (PROTOCOL 14.4). */
export interface InboxAnswer extends InboxCounts {
  readonly cursor: string;
  readonly until?: string;
  /** The cursor of the event that stores the change; `null` where nothing was to change. */
  readonly changed: string | null;
}

interface State {
  readonly follows: readonly (InboxPattern & { readonly since: number })[];
  readonly mutes: readonly InboxPattern[];
  readonly seen: ItemMark;
  readonly read: ItemMark;
  readonly archived: ItemMark;
  readonly snoozed: readonly { readonly sequence: number; readonly until: string }[];
  readonly recent: readonly string[];
}

const isShown = ({ archived, snoozed }: ItemState) => !archived && snoozed === undefined;
const isUnread = (state: ItemState) => isShown(state) && !state.read;

const STATES: Readonly<Record<string, (state: ItemState) => boolean>> = {
  '': isShown,
  unseen: (state) => isUnread(state) && !state.seen,
  unread: isUnread,
  read: (state) => isShown(state) && state.read,
  archived: ({ archived }) => archived,
  snoozed: ({ archived, snoozed }) => snoozed !== undefined && !archived,
  all: () => true,
};

/** The inbox of the one user, as replay answers it (PROTOCOL 14). It has no groups, and no limit of exceptions. */
export class FakeInbox {
  readonly topic: string;
  readonly #user: string;
  readonly #log: FakeLog;
  readonly #permissions: Permissions;
  readonly #append: (event: Record<string, unknown>) => string;
  #state: State = {
    ...{ follows: [], mutes: [], snoozed: [], recent: [] },
    ...{ seen: NO_MARK, read: NO_MARK, archived: NO_MARK },
  };

  constructor(parts: {
    readonly user: string;
    readonly log: FakeLog;
    readonly permissions: Permissions;
    readonly append: (event: Record<string, unknown>) => string;
  }) {
    this.topic = `inbox.${parts.user}`;
    this.#user = parts.user;
    this.#log = parts.log;
    this.#permissions = parts.permissions;
    this.#append = parts.append;
  }

  /** @throws Refusal */
  answer(method: string, path: string, query: URLSearchParams, body: unknown): object {
    this.#permissions.require('inbox', this.topic);
    const atLeast = query.get('atLeast');
    if (atLeast !== null) this.#requireKnown(atLeast);
    switch (`${method} ${path}`) {
      case 'GET /v1/inbox':
        return this.#page(query);
      case 'GET /v1/inbox/counts':
        return this.#counts();
      case 'GET /v1/inbox/follows':
        return { ...this.#rules(true), inbox: this.topic, cursor: this.#log.end };
      case 'POST /v1/inbox/marks':
        return this.mark(body as MarkRequest);
      case 'POST /v1/inbox/follows':
        return this.follow(body as FollowRequest);
      default:
        throw new Refusal('not_found', 'There is nothing under this path.');
    }
  }

  mark(request: MarkRequest): InboxAnswer {
    const { mark, upTo, cursors, until, id: _, ...others } = request;
    const isSingle = mark === 'unread' || mark === 'unarchived' || mark === 'snoozed';
    if (!MARKS.includes(mark)) throw wrong('mark', 'must be a mark');
    for (const name of Object.keys(others)) throw wrong(name, 'is no field of a mark');
    if ((upTo === undefined) === (cursors === undefined))
      throw wrong('upTo', 'must be there, or cursors, and not both');
    if (isSingle && upTo !== undefined)
      throw wrong('upTo', `does not go with ${mark}: name cursors`);
    if ((mark === 'snoozed') !== (until !== undefined))
      throw wrong('until', 'must be there for snoozed, and for nothing else');
    const target = upTo === undefined ? undefined : this.#requireKnown(upTo);
    const sequences = this.#requireItems(cursors ?? []);
    return this.#change(request, (state) => {
      if (mark === 'snoozed') return { ...state, snoozed: snooze(state, sequences, until ?? '') };
      if (mark === 'unread') return { ...state, read: markEach(state.read, sequences, false) };
      if (mark === 'unarchived')
        return { ...state, archived: markEach(state.archived, sequences, false) };
      const before = state[mark];
      const after =
        target === undefined ? markEach(before, sequences, true) : markUpTo(before, target);
      return { ...state, [mark]: after };
    });
  }

  follow(request: FollowRequest): InboxAnswer {
    const { change, pattern, types } = request;
    if (!CHANGES.includes(change)) throw wrong('change', 'must be a change');
    requirePatterns([pattern]);
    if (change === 'follow') this.#permissions.require('subscribe', pattern);
    const one: InboxPattern = { pattern, ...(types && { types: [...new Set(types)].sort() }) };
    const isOne = (other: InboxPattern) => keyOf(other) === keyOf(one);
    const isNamed = (other: InboxPattern) => (types ? isOne(other) : other.pattern === pattern);
    return this.#change(request, (state) => {
      const { follows, mutes } = state;
      switch (change) {
        case 'follow':
          if (follows.some(isOne)) return state;
          return { ...state, follows: [...follows, { ...one, since: sequenceOf(this.#log.end) }] };
        case 'mute':
          return mutes.some(isOne) ? state : { ...state, mutes: [...mutes, one] };
        case 'unfollow':
          return { ...state, follows: follows.filter((other) => !isNamed(other)) };
        case 'unmute':
          return { ...state, mutes: mutes.filter((other) => !isNamed(other)) };
      }
    });
  }

  #change(
    { id, ...change }: MarkRequest | FollowRequest,
    apply: (state: State) => State,
  ): InboxAnswer {
    const before = withoutEnded(this.#state);
    const isRepeat = id !== undefined && before.recent.includes(id);
    const after = isRepeat ? before : apply(before);
    const isSame = JSON.stringify(after) === JSON.stringify(before);
    if (isSame) return { changed: null, ...this.#counts() };
    const recent = id === undefined ? after.recent : [...after.recent, id].slice(-IDS_MAX);
    this.#state = { ...after, recent };
    const counts = this.#counts();
    const data = { ...this.#rules(false), ...this.#marks(), recent, counts, change };
    const changed = this.#append({
      type: 'tidemark.inbox.changed',
      topic: this.topic,
      source: '/v1/inbox',
      publisher: this.#user,
      data,
    });
    return { changed, ...counts };
  }

  #rules(isToken: boolean) {
    const { follows, mutes } = this.#state;
    return {
      topics: [`user.${this.#user}.>`],
      follows: follows.map(({ since, ...one }) => ({
        ...one,
        since: this.#log.cursorOf(since),
        ...(isToken && { permitted: this.#permissions.permits('subscribe', one.pattern) }),
      })),
      mutes,
    };
  }

  #marks() {
    const cursorOf = (sequence: number) => this.#log.cursorOf(sequence);
    const toData = ({ upTo, except }: ItemMark) => ({
      upTo: cursorOf(upTo),
      except: except.map(cursorOf),
    });
    const { seen, read, archived, snoozed } = this.#state;
    return {
      ...{ seen: toData(seen), read: toData(read), archived: toData(archived) },
      snoozed: snoozed.map(({ sequence, until }) => ({ cursor: cursorOf(sequence), until })),
    };
  }

  /** The newest first. */
  #items(
    { mutes }: Pick<State, 'mutes'> = this.#state,
  ): (Stored & { readonly state: ItemState })[] {
    const { topics } = this.#rules(true);
    const isOwn = topicMatcher(topics);
    const follows = this.#state.follows
      .filter(({ pattern }) => this.#permissions.permits('subscribe', pattern))
      .map((one) => ({ since: one.since, matches: matcher(one) }));
    const muted = mutes.map(matcher);
    const isItem = (one: Stored) =>
      !isReserved(one.event.topic) &&
      !muted.some((matches) => matches(one)) &&
      (isOwn(one.event.topic) ||
        follows.some(({ since, matches }) => one.sequence > since && matches(one)));
    return this.#log.events
      .filter(isItem)
      .reverse()
      .map((one) => ({ ...one, state: this.#stateOf(one.sequence) }));
  }

  #stateOf(sequence: number): ItemState {
    const { seen, read, archived, snoozed } = this.#state;
    const isRead = isMarked(read, sequence);
    const hidden = snoozed.find((one) => one.sequence === sequence && isAhead(one.until));
    return {
      seen: isRead || isMarked(seen, sequence),
      read: isRead,
      archived: isMarked(archived, sequence),
      ...(hidden && { snoozed: hidden.until }),
    };
  }

  #counts() {
    const unread = this.#items().filter(({ state }) => isUnread(state));
    const unseen = unread.filter(({ state }) => !state.seen);
    const { snoozed } = this.#state;
    const times = [
      ...snoozed.map(({ until }) => Date.parse(until)).filter((ms) => ms > Date.now()),
      ...unread.map(({ event }) => expiryMs(event)),
    ];
    const nextMs = Math.min(...times);
    return {
      unseen: Math.min(COUNT_MAX, unseen.length),
      unread: Math.min(COUNT_MAX, unread.length),
      more: unread.length > COUNT_MAX,
      cursor: this.#log.end,
      ...(Number.isFinite(nextMs) && { until: new Date(nextMs).toISOString() }),
    };
  }

  #page(query: URLSearchParams): object {
    const accepts = STATES[query.get('state') ?? ''];
    if (!accepts) throw wrong('state', 'must be a state');
    const matchesTopic = topicMatcher(query.get('topics')?.split(',') ?? ['>']);
    const matchesType = typeMatcher(query.get('types')?.split(','));
    const before = query.get('before');
    const below = before === null ? Number.POSITIVE_INFINITY : this.#requireKnown(before);
    const limit = Number(query.get('limit') ?? PAGE_DEFAULT);
    const all = this.#items().filter(
      ({ sequence, event, state }) =>
        sequence < below && matchesTopic(event.topic) && matchesType(event.type) && accepts(state),
    );
    const items: InboxItem[] = all.slice(0, limit).map(({ sequence, event, state }) => ({
      ...{ cursor: this.#log.cursorOf(sequence), event, state },
    }));
    const next = all.length > limit ? (items.at(-1)?.cursor ?? null) : null;
    return { items, ...this.#counts(), next };
  }

  #requireItems(cursors: readonly string[]): number[] {
    // Muted items count too: they may be shown again.
    const items = new Set(this.#items({ mutes: [] }).map(({ sequence }) => sequence));
    const sequences = cursors.map((cursor) => this.#requireKnown(cursor));
    const faults = sequences.flatMap((sequence, index) =>
      items.has(sequence) ? [] : [{ path: `cursors[${index}]`, message: 'is no item' }],
    );
    if (faults.length === 0) return sequences;
    throw new Refusal('not_found', 'The inbox has no item there.', { faults });
  }

  #requireKnown(cursor: string): number {
    requireCursor(cursor);
    const { sequence, gap } = this.#log.find(cursor);
    if (!gap) return sequence;
    throw new Refusal('invalid_cursor', 'The cursor is none of this log.');
  }
}

function wrong(path: string, message: string): Refusal {
  return new Refusal('invalid_query', `${path} ${message}.`, { faults: [{ path, message }] });
}

function snooze({ snoozed }: State, sequences: readonly number[], until: string): State['snoozed'] {
  const others = snoozed.filter(({ sequence }) => !sequences.includes(sequence));
  if (!isAhead(until)) return others;
  const iso = new Date(until).toISOString();
  return [...others, ...sequences.map((sequence) => ({ sequence, until: iso }))].sort(
    (left, right) => left.sequence - right.sequence,
  );
}

function withoutEnded(state: State): State {
  return { ...state, snoozed: state.snoozed.filter(({ until }) => isAhead(until)) };
}

function isAhead(time: string): boolean {
  return Date.parse(time) > Date.now();
}

function matcher({ pattern, types }: InboxPattern): (stored: Stored) => boolean {
  const [matchesTopic, matchesType] = [topicMatcher([pattern]), typeMatcher(types)];
  return ({ event }) => matchesTopic(event.topic) && matchesType(event.type);
}

function keyOf({ pattern, types }: InboxPattern): string {
  return JSON.stringify([pattern, types]);
}
