import { signal } from '@preact/signals';
import type { Message, Status, Tidemark } from '@tidemark/client';
import { type Action, permits } from './grants.ts';
import { type Gap, type HistoryQuery, type Item, readHistory } from './history.ts';

/** What a list shows. `type` may have commas and end with `*` (PROTOCOL.md section 2.2). */
export type FeedChoice = Pick<HistoryQuery, 'topics' | 'type' | 'source' | 'from' | 'to'>;

/** An event of the list. */
export interface FeedItem extends Item {
  /** It came while the list was open. */
  readonly isNew: boolean;
}

/** Most events that a list holds; of more, the oldest are let go. */
export const ITEMS_MAX = 2000;
const PAGE = 100;
/** Events that may come before the page draws: beyond these, the list is read no faster than it is drawn. */
const FRAME_MAX = 500;

/**
 * The events of a pattern, newest first: a page of the history, further pages when they are asked for, and what is
 * stored from then on. The subscription begins at the end of the archive as of the first page, so nothing is
 * missed or doubled between the two.
 */
export class EventFeed {
  readonly items = signal<readonly FeedItem[]>([]);
  readonly loading = signal(true);
  readonly error = signal<unknown>(undefined);
  readonly hasOlder = signal(false);
  readonly gaps = signal<readonly Gap[]>([]);
  /** The subscription; `undefined` where there is none, as for a range that has ended. */
  readonly status = signal<Status | undefined>(undefined);
  readonly isLiveOnly: boolean;
  readonly #choice: FeedChoice;
  readonly #client: Tidemark | undefined;
  readonly #ending = new AbortController();
  #before: string | undefined;

  /**
   * @param client for what comes live; without one there is only history. The feed closes it.
   * @param isLiveOnly there is no history: the list begins empty
   */
  constructor(choice: FeedChoice, client: Tidemark | undefined, isLiveOnly = false) {
    this.#choice = choice;
    this.#client = client;
    this.isLiveOnly = isLiveOnly;
    client?.on('status', (status) => {
      this.status.value = status;
    });
    this.start();
  }

  /** Reads the first page, also again after a failure. */
  start(): void {
    if (this.isLiveOnly) {
      this.loading.value = false;
      void this.#follow('latest');
      return;
    }
    void this.#read(undefined).then((position) => {
      if (position !== undefined && !this.#ending.signal.aborted) void this.#follow(position);
    });
  }

  older(): Promise<unknown> {
    return this.#read(this.#before);
  }

  stop(): void {
    this.#ending.abort();
    this.#client?.close();
  }

  /** @returns from where a subscription goes on, after the first page */
  async #read(before: string | undefined): Promise<string | undefined> {
    this.loading.value = true;
    try {
      const query = {
        ...this.#choice,
        order: 'desc',
        limit: PAGE,
        ...(before && { before }),
      } as const;
      const page = await readHistory(query, this.#ending.signal);
      const found = page.items.map((item) => ({ ...item, isNew: false }));
      this.items.value = [...(before ? this.items.value : []), ...found].slice(0, ITEMS_MAX);
      this.gaps.value = [...(before ? this.gaps.value : []), ...page.gaps];
      this.#before = page.next;
      this.hasOlder.value = !page.complete && this.items.value.length < ITEMS_MAX;
      this.error.value = undefined;
      return before ? undefined : (page.position ?? page.items[0]?.cursor ?? 'latest');
    } catch (error) {
      if (!this.#ending.signal.aborted) this.error.value = error;
      return undefined;
    } finally {
      this.loading.value = false;
    }
  }

  async #follow(after: string): Promise<void> {
    const { topics, type } = this.#choice;
    const types = type?.split(',').map((one) => one.trim());
    const { signal } = this.#ending;
    const options = { after, signal, ...(types && { types }) };
    const subscription = this.#client?.subscribe(topics.split(','), options);
    let waiting: FeedItem[] = [];
    const draw = () => {
      if (waiting.length > 0) this.#prepend(waiting);
      waiting = [];
    };
    try {
      for await (const message of subscription?.messages() ?? []) {
        const item = this.#take(message);
        if (!item) continue;
        if (waiting.push(item) === 1) requestAnimationFrame(draw);
        if (waiting.length >= FRAME_MAX) await nextFrame();
      }
    } catch (error) {
      if (!signal.aborted) this.error.value = error;
    }
  }

  #take(message: Message): FeedItem | undefined {
    if (message.type === 'gap') this.gaps.value = [...this.gaps.value, message].slice(-PAGE);
    if (message.type !== 'event') return undefined;
    const event = message.event as Item['event'];
    const { source } = this.#choice;
    if (source && event.source !== source) return undefined;
    return { cursor: message.cursor, event, isNew: true };
  }

  #prepend(added: readonly FeedItem[]): void {
    const items = [...added].reverse().concat(this.items.value);
    this.items.value = items.slice(0, ITEMS_MAX);
    if (items.length <= ITEMS_MAX) return;
    this.#before = this.items.value.at(-1)?.cursor;
    this.hasOlder.value = false;
  }
}

/** Whether a list can go on live: it has no end, and the token may subscribe to it. */
export function mayFollow(choice: FeedChoice, permissions: readonly string[]): boolean {
  return !choice.to && mayAll('subscribe', choice, permissions);
}

/** Whether the token may read what was stored before. */
export function mayLookBack(choice: FeedChoice, permissions: readonly string[]): boolean {
  return mayAll('history', choice, permissions);
}

function mayAll(action: Action, { topics }: FeedChoice, permissions: readonly string[]): boolean {
  return topics.split(',').every((one) => permits(permissions, action, one));
}

function nextFrame(): Promise<unknown> {
  return new Promise((resolve) => requestAnimationFrame(resolve));
}
