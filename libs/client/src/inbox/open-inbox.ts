import { backoffMs } from '../backoff.ts';
import { sequenceOf } from '../cursors.ts';
import type { Cancel, Environment } from '../environment.ts';
import { closedError, type TidemarkClientError } from '../errors.ts';
import { Listeners } from '../listeners.ts';
import { topicMatcher, typeMatcher } from '../patterns.ts';
import { pause } from '../pause.ts';
import type { CloudEvent, Message, Subscription, Tidemark } from '../types.ts';
import { ChangeQueue } from './change-queue.ts';
import { ItemList } from './item-list.ts';
import { erasedBy, LiveCounts } from './live-counts.ts';
import { isNeeded, type PendingMark, PendingMarks } from './pending-marks.ts';
import { type ItemHeader, itemFilter, topicsOf } from './rules.ts';
import { lists, NEW_ITEM } from './states.ts';
import type { Inbox, InboxOptions, InboxView, MarkTarget } from './types.ts';
import { NO_VIEW, nextView, show } from './view.ts';
import {
  type ChangeAnswer,
  type ChangeData,
  expiryMs,
  type FollowsAnswer,
  type MarkBody,
  type PageAnswer,
  type Rules,
  readNotice,
} from './wire.ts';

/** Patterns of one subscription (PROTOCOL 8.2). */
const PATTERNS_MAX = 100;
const PAGE_DEFAULT = 20;
/** Items of one page. */
const PAGE_MAX = 1000;
/** Pages without items, which a filter leaves, that `older` reads in a row. */
const EMPTY_PAGES_MAX = 10;
/** An answer that is stale when it comes, such as to a clock that is ahead: the waits before the next question. */
const STALE_WAIT_MS = { first: 1000, most: 60_000 };
/** The longest time that timers take. */
const TIMER_MS_MAX = 2 ** 31 - 1;

type Client = Pick<Tidemark, 'request' | 'subscribe' | 'on'>;

const NO_RULES: Rules = { topics: [], follows: [], mutes: [] };
/**
 * An inbox that follows the log: the first page, subscriptions after its cursor, and the rule of PROTOCOL 14.6. What cannot
 * be told from events is read anew, page and counts in one answer.
 */
export class OpenInbox implements Inbox {
  readonly ready: Promise<void>;
  readonly #client: Client;
  readonly #options: InboxOptions;
  readonly #environment: Environment;
  readonly #closing = new AbortController();
  readonly #queue: ChangeQueue;
  readonly #list = new ItemList();
  readonly #marks = new PendingMarks();
  readonly #changes = new Listeners<[InboxView]>();
  readonly #cancels: Cancel[];
  readonly #takesTopic: (topic: string) => boolean;
  readonly #takesType: (type: string) => boolean;
  #view = NO_VIEW;
  #counts: LiveCounts | undefined;
  #inbox = '';
  #rules = NO_RULES;
  #accepts: (item: ItemHeader) => boolean = itemFilter(NO_RULES);
  #subscriptions: Subscription[] = [];
  /** What is subscribed to; empty where it has to be anew. */
  #topics = '';
  #refused = '';
  /** The last cursor that was received. */
  #last: string | undefined;
  #erasures = 0;
  #older: Promise<void> | undefined;
  #isReading = false;
  #readAgain = false;
  /** A gap lies between what is known and what comes. */
  #isCut = true;
  #staleWaitMs = 0;
  #askTimer: Cancel | undefined;
  #wakeTimer: Cancel | undefined;
  #showTimer: Cancel | undefined;
  #onReady: () => void = () => undefined;
  #onFailed: (error: unknown) => void = () => undefined;

  constructor(client: Client, options: InboxOptions, environment: Environment) {
    this.#client = client;
    this.#options = options;
    this.#environment = environment;
    this.#queue = new ChangeQueue(client, environment, this.#closing.signal);
    this.#takesTopic = topicMatcher(options.topics ?? ['>']);
    this.#takesType = typeMatcher(options.types);
    this.ready = new Promise((resolve, reject) => {
      this.#onReady = resolve;
      this.#onFailed = reject;
    });
    // Not everybody waits for it.
    this.ready.catch(() => undefined);
    this.#cancels = [
      // Timers stand still while a device sleeps.
      environment.onWake(() => this.#show()),
      client.on('status', (status) => {
        if (status.state === 'stopped' && status.code === 'closed') this.close();
      }),
    ];
    options.signal?.addEventListener('abort', () => this.close());
    if (options.signal?.aborted) this.close();
    else void this.#readAll();
  }

  get view(): InboxView {
    return this.#view;
  }

  on(_type: 'change', handle: (view: InboxView) => void): () => void {
    return this.#changes.add(handle);
  }

  older(): Promise<void> {
    this.#older ??= this.#readOlder().finally(() => {
      this.#older = undefined;
    });
    return this.#older;
  }

  seen(target?: MarkTarget): Promise<void> {
    return this.#markTo('seen', target);
  }

  read(target?: MarkTarget): Promise<void> {
    return this.#markTo('read', target);
  }

  archive(target: MarkTarget): Promise<void> {
    return this.#mark({ mark: 'archived', ...target });
  }

  unread(cursors: readonly string[]): Promise<void> {
    return this.#mark({ mark: 'unread', cursors });
  }

  unarchive(cursors: readonly string[]): Promise<void> {
    return this.#mark({ mark: 'unarchived', cursors });
  }

  async snooze(cursors: readonly string[], until: Date): Promise<void> {
    return this.#mark({ mark: 'snoozed', cursors, until: until.toISOString() });
  }

  follow(pattern: string, types?: readonly string[]): Promise<void> {
    return this.#follow('follow', pattern, types);
  }

  unfollow(pattern: string, types?: readonly string[]): Promise<void> {
    return this.#follow('unfollow', pattern, types);
  }

  mute(pattern: string, types?: readonly string[]): Promise<void> {
    return this.#follow('mute', pattern, types);
  }

  unmute(pattern: string, types?: readonly string[]): Promise<void> {
    return this.#follow('unmute', pattern, types);
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    const error = closedError();
    this.#closing.abort(error);
    this.#onFailed(error);
    this.#leave();
    this.#askTimer?.();
    this.#wakeTimer?.();
    this.#showTimer?.();
    for (const cancel of this.#cancels) cancel();
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  // Reading

  /** After a time, at most once at the same time. */
  #ask(afterMs: number): void {
    if (this.#isReading) this.#readAgain = true;
    else if (afterMs <= 0) void this.#readAll();
    else this.#askTimer ??= this.#environment.timer(() => void this.#readAll(), afterMs);
  }

  /** Reads the first page until nothing in it is in doubt. An outage is no answer. */
  async #readAll(): Promise<void> {
    this.#askTimer?.();
    this.#askTimer = undefined;
    this.#isReading = true;
    for (let attempt = 0; !this.#isClosed && !this.#view.error; attempt++) {
      this.#readAgain = false;
      try {
        if ((await this.#readFirst()) && !this.#readAgain) break;
      } catch (error) {
        if (this.#isClosed) return;
        await this.#failed(error, attempt);
      }
    }
    this.#isReading = false;
    if (!this.#isClosed) this.#show();
  }

  async #failed(error: unknown, attempt: number): Promise<void> {
    const { code, retryable, retryAfterMs = 0 } = error as Partial<TidemarkClientError>;
    if (code === 'invalid_cursor' && this.#last !== undefined) {
      // The log has lost it.
      this.#cut();
      this.#last = undefined;
    } else if (retryable) {
      const ms = Math.max(backoffMs(attempt, this.#environment), retryAfterMs);
      await pause(ms, this.#environment, this.#closing.signal);
    } else this.#end(error);
  }

  /** @returns false where what came meanwhile puts the answers in doubt */
  async #readFirst(): Promise<boolean> {
    const { limit = PAGE_DEFAULT } = this.#options;
    const erasures = this.#erasures;
    const wanted = Math.min(PAGE_MAX, Math.max(limit, this.#view.items.length));
    const page = await this.#get<PageAnswer>('', { ...this.#query(this.#last), limit: wanted });
    // Behind the counts: a change between the two comes as an event.
    const follows = await this.#get<FollowsAnswer>('/follows', { atLeast: page.cursor });
    // The page may have what was erased since.
    if (erasures !== this.#erasures) return false;
    this.#take(page, follows);
    return true;
  }

  #take(page: PageAnswer, { inbox, cursor, ...rules }: FollowsAnswer): void {
    if (this.#isCut || !this.#counts) this.#counts = new LiveCounts(page);
    else this.#counts.renew(page);
    if (sequenceOf(cursor) >= this.#counts.changed) this.#setRules(rules);
    this.#list.replace(page, this.#isCut);
    this.#inbox = inbox;
    if (this.#isCut || isAhead(page.cursor, this.#last)) this.#last = page.cursor;
    this.#isCut = false;
    this.#marks.reach(sequenceOf(page.cursor));
    this.#subscribe(page.cursor);
    const { askWithinMs } = this.#counts.now(this.#accepts, this.#environment.wall());
    const { first, most } = STALE_WAIT_MS;
    this.#staleWaitMs =
      askWithinMs === 0 ? Math.min(most, Math.max(first, 2 * this.#staleWaitMs)) : 0;
    this.#show();
    this.#onReady();
  }

  async #readOlder(): Promise<void> {
    await this.ready;
    for (let empty = 0; empty < EMPTY_PAGES_MAX; ) {
      const { next } = this.#list;
      if (next === null) return;
      const erasures = this.#erasures;
      const { limit = PAGE_DEFAULT } = this.#options;
      const query = { ...this.#query(this.#last), limit, before: next };
      const page = await this.#get<PageAnswer>('', query);
      // It is of another list, or may have what was erased since.
      if (next !== this.#list.next || erasures !== this.#erasures) continue;
      this.#list.append(page);
      this.#show();
      if (page.items.length > 0) return;
      empty++;
    }
  }

  #query(atLeast: string | undefined) {
    const { state, topics, types } = this.#options;
    return { state, topics: topics?.join(), types: types?.join(), atLeast };
  }

  async #get<Body>(path: string, query: Record<string, string | number | undefined>) {
    const text = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) text.set(name, String(value));
    }
    const options = { service: 'replay', signal: this.#closing.signal } as const;
    return (await this.#client.request<Body>('GET', `/v1/inbox${path}?${text}`, options)).body;
  }

  // Following

  #setRules(rules: Rules): void {
    this.#rules = rules;
    this.#accepts = itemFilter(rules);
  }

  /** Subscribes where that is to other topics than so far. Events of both come twice, which makes no difference. */
  #subscribe(after: string): void {
    const topics = topicsOf(this.#inbox, this.#rules);
    const key = topics.join();
    if (key === this.#topics) return;
    const former = this.#subscriptions;
    this.#subscriptions = [];
    for (let at = 0; at < topics.length; at += PATTERNS_MAX) {
      const part = topics.slice(at, at + PATTERNS_MAX);
      this.#subscriptions.push(this.#client.subscribe(part, { after }) as Subscription);
    }
    this.#topics = key;
    for (const one of former) one.close();
    for (const one of this.#subscriptions) void this.#read(one);
  }

  async #read(subscription: Subscription): Promise<void> {
    const isPresent = () => this.#subscriptions.includes(subscription);
    try {
      for await (const message of subscription.messages()) {
        if (isPresent()) this.#receive(message);
      }
      // The client was closed.
      if (isPresent()) this.close();
    } catch (error) {
      if (isPresent()) this.#ended(error);
    }
  }

  /** A permission may have gone since the follows were asked for; without the same topics again, that is final. */
  #ended(error: unknown): void {
    const isForbidden = (error as Partial<TidemarkClientError>).code === 'forbidden';
    if (isForbidden && this.#refused !== this.#topics) {
      this.#refused = this.#topics;
      this.#cut();
      this.#ask(0);
    } else this.#end(error);
  }

  #receive(message: Message): void {
    if (message.type === 'gap' || message.type === 'reset') {
      this.#cut();
      this.#last = message.type === 'gap' ? message.to : this.#last;
      this.#ask(0);
      return;
    }
    if (isAhead(message.cursor, this.#last)) this.#last = message.cursor;
    if (message.type !== 'event') return;
    this.#takeEvent(message.event, message.cursor);
    // Many come at once.
    this.#showTimer ??= this.#environment.timer(() => this.#show(), 0);
  }

  #takeEvent(event: CloudEvent, cursor: string): void {
    const { topic, type, publisher, data } = event;
    const sequence = sequenceOf(cursor);
    if (topic === this.#inbox) {
      // Nobody vouches for an event without a publisher.
      if (publisher !== undefined) this.#change(sequence, data as ChangeData);
      return;
    }
    const notice = readNotice(event);
    if (notice) {
      const isErased = erasedBy(notice);
      this.#erasures++;
      this.#counts?.erase(notice, isErased);
      this.#list.erase(isErased);
      return;
    }
    const item = { sequence, topic, type, expiresMs: expiryMs(event) };
    if (this.#counts?.add(item) === false) {
      this.#ask(0);
      return;
    }
    const isListed = this.#takesTopic(topic) && this.#takesType(type) && this.#accepts(item);
    if (isListed && lists(this.#options.state, NEW_ITEM)) this.#list.add(item, cursor, event);
  }

  /** An event of the inbox: what it says counts. */
  #change(sequence: number, data: ChangeData): void {
    if (!this.#counts?.change(sequence, data.counts)) return;
    this.#list.change(sequence, data);
    this.#marks.reach(sequence);
    const { topics, follows, mutes, change } = data;
    if (!change) return;
    const permitted = new Map(this.#rules.follows.map((one) => [one.pattern, one.permitted]));
    this.#setRules({
      topics,
      follows: follows.map((one) => ({ ...one, permitted: permitted.get(one.pattern) ?? true })),
      mutes,
    });
    if (change.change || this.#mayBring(change)) this.#ask(0);
  }

  /** Whether a mark may make an item one of the list that is not known here. */
  #mayBring({ upTo, cursors = [] }: Partial<MarkBody>): boolean {
    const { state } = this.#options;
    if (upTo) return state === 'read' || state === 'archived';
    const { low } = this.#list;
    return cursors.map(sequenceOf).some((one) => one >= low && !this.#list.has(one));
  }

  /** What is known and what comes do not fit together any more: all is read anew. */
  #cut(): void {
    this.#isCut = true;
    this.#leave();
  }

  #leave(): void {
    const former = this.#subscriptions;
    this.#subscriptions = [];
    this.#topics = '';
    for (const one of former) one.close();
  }

  #end(error: unknown): void {
    this.#leave();
    this.#onFailed(error);
    this.#tell({ ...this.#view, error: error as TidemarkClientError });
  }

  // Changing

  async #markTo(mark: 'seen' | 'read', target?: MarkTarget): Promise<void> {
    const [newest] = this.#view.items;
    if (target ?? newest)
      return this.#mark({ mark, ...(target ?? { upTo: newest?.cursor ?? '' }) });
  }

  async #mark(body: MarkBody): Promise<void> {
    const sent = this.#queue.send('/v1/inbox/marks', body);
    const mark = this.#marks.add(body);
    this.#show();
    try {
      this.#confirm(mark, await sent);
    } catch (error) {
      this.#marks.remove(mark);
      if (!this.#isClosed) this.#show();
      throw error;
    }
  }

  async #follow(change: string, pattern: string, types?: readonly string[]): Promise<void> {
    const body = { change, pattern, ...(types && { types }) };
    const { changed, cursor } = await this.#queue.send('/v1/inbox/follows', body);
    if (isAhead(changed ?? cursor, this.#last)) this.#last = changed ?? cursor;
  }

  /** The mark stays on top until its own event comes; where there is none, until it makes no difference. */
  #confirm(mark: PendingMark, { changed, cursor }: ChangeAnswer): void {
    const at = changed ?? cursor;
    mark.confirmedAt = sequenceOf(at);
    if (isAhead(at, this.#last)) this.#last = at;
    if (changed === null && !isNeeded(mark, this.#list, this.#environment.wall()))
      this.#marks.remove(mark);
    else if (changed === null) this.#ask(0);
    this.#marks.reach(this.#counts?.changed ?? 0);
    this.#show();
  }

  // Showing

  #show(): void {
    this.#showTimer?.();
    this.#showTimer = undefined;
    if (!this.#counts || this.#view.error || this.#isClosed) return;
    const nowMs = this.#environment.wall();
    const { nextMs, askWithinMs, ...counts } = this.#counts.now(this.#accepts, nowMs);
    const parts = { list: this.#list, marks: this.#marks, accepts: this.#accepts, nowMs };
    const shown = show({ ...parts, counts, options: this.#options });
    this.#tell(nextView(this.#view, shown, this.#rules, this.#list.next !== null));
    if (askWithinMs !== undefined && !this.#isReading)
      this.#ask(askWithinMs ? this.#environment.random() * askWithinMs : this.#staleWaitMs);
    this.#wakeTimer?.();
    const inMs = Math.min(nextMs > nowMs ? nextMs : Number.POSITIVE_INFINITY, shown.nextMs) - nowMs;
    this.#wakeTimer = Number.isFinite(inMs)
      ? this.#environment.timer(() => this.#show(), Math.min(TIMER_MS_MAX, inMs))
      : undefined;
  }

  #tell(view: InboxView): void {
    if (view === this.#view) return;
    this.#view = view;
    this.#changes.tell(view);
  }
}

function isAhead(cursor: string, other: string | undefined): boolean {
  return other === undefined || sequenceOf(cursor) > sequenceOf(other);
}
