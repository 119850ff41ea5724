import type { CloudEvent } from '@tidemark/client';
import type {
  Inbox,
  InboxItem,
  InboxView,
  MarkTarget,
} from '../../../libs/client/src/inbox/types.ts';
import type { Kept } from './kept.ts';

const PAGE = 3;
const OLDEST = 1;
const NEWEST = 8;

function item(n: number): InboxItem {
  const event: CloudEvent = {
    specversion: '1.0',
    id: `${n}`,
    source: '/stub',
    type: 'note',
    topic: 'user.alice',
    time: new Date(n * 60_000).toISOString(),
    data: { title: `Note ${n}` },
  };
  return {
    cursor: `e-${n}`,
    event,
    state: { seen: n < NEWEST, read: n < NEWEST - 1, archived: false },
  };
}

/** An inbox in memory, with items 1 to 8 of which 8 is unseen, and 7 and 8 are unread. */
export class StubInbox implements Inbox {
  readonly ready: Promise<void>;
  readonly #kept: Kept;
  readonly #listeners = new Set<(view: InboxView) => void>();
  #view: InboxView = {
    isReady: false,
    items: [],
    counts: { unseen: 0, unread: 0, more: false },
    hasOlder: false,
    follows: [],
    mutes: [],
  };
  #newest = NEWEST;
  #refuses = false;

  constructor(kept: Kept) {
    this.#kept = kept;
    kept.opened++;
    this.ready = new Promise((resolve) => setTimeout(resolve, 50)).then(() => {
      this.#show(range(NEWEST, NEWEST - PAGE + 1).map(item), { isReady: true, hasOlder: true });
    });
  }

  get view() {
    return this.#view;
  }

  on(_type: 'change', handle: (view: InboxView) => void): () => void {
    this.#listeners.add(handle);
    return () => this.#listeners.delete(handle);
  }

  close(): void {
    this.#kept.closed++;
  }

  arrive(count: number): void {
    const fresh = range(this.#newest + count, this.#newest + 1).map((n) => ({
      ...item(n),
      state: { seen: false, read: false, archived: false },
    }));
    this.#newest += count;
    this.#show([...fresh, ...this.#view.items]);
  }

  take(cursor: string): void {
    this.#show(this.#view.items.filter((one) => one.cursor !== cursor));
  }

  refuse(): void {
    this.#refuses = true;
  }

  async older(): Promise<void> {
    await this.#call('older');
    const last = Number(this.#view.items.at(-1)?.event.id);
    const more = range(last - 1, Math.max(OLDEST, last - PAGE)).map(item);
    this.#show([...this.#view.items, ...more], { hasOlder: last - PAGE > OLDEST });
  }

  /** Shown at once, and taken back where it is refused. */
  async seen(target?: MarkTarget): Promise<void> {
    const { items } = this.#view;
    const answer = this.#call(`seen ${JSON.stringify(target)}`);
    this.#mark(() => true, { seen: true });
    await answer.catch(async (error) => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      this.#show(items);
      throw error;
    });
  }

  async read(target?: MarkTarget): Promise<void> {
    await this.#call(`read ${JSON.stringify(target)}`);
    const cursors = target && 'cursors' in target ? target.cursors : undefined;
    this.#mark(({ cursor }) => cursors?.includes(cursor) ?? true, { seen: true, read: true });
  }

  archive = () => this.#call('archive');
  unread = () => this.#call('unread');
  unarchive = () => this.#call('unarchive');
  snooze = () => this.#call('snooze');
  follow = () => this.#call('follow');
  unfollow = () => this.#call('unfollow');
  mute = () => this.#call('mute');
  unmute = () => this.#call('unmute');

  async #call(what: string): Promise<void> {
    this.#kept.calls.push(what);
    if (!this.#refuses) return;
    this.#refuses = false;
    throw new Error('refused');
  }

  #mark(concerns: (item: InboxItem) => boolean, mark: Partial<InboxItem['state']>): void {
    const items = this.#view.items.map((one) =>
      concerns(one) ? { ...one, state: { ...one.state, ...mark } } : one,
    );
    this.#show(items);
  }

  #show(items: readonly InboxItem[], more: Partial<InboxView> = {}): void {
    const counts = {
      unseen: items.filter(({ state }) => !state.seen).length,
      unread: items.filter(({ state }) => !state.read).length,
      more: false,
    };
    this.#view = { ...this.#view, ...more, items, counts };
    for (const listener of this.#listeners) listener(this.#view);
  }
}

/** From the first down to the last. */
function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, first - last + 1) }, (_, index) => first - index);
}
