import type { CloudEvent, Message, RequestOptions, Subscription } from '@tidemark/client';
import { TidemarkClientError } from '@tidemark/client';
import type { InboxOptions } from '@tidemark/client/inbox';
import { systemEnvironment } from '../../libs/client/src/environment.ts';
import { OpenInbox } from '../../libs/client/src/inbox/open-inbox.ts';
import { VirtualClock } from './clock.ts';

export const toCursor = (sequence: number) => `log-${sequence}`;
const toSequence = (cursor: string | null) => Number(cursor?.split('-')[1] ?? Number.NaN);

/** A subscription that a test feeds. */
class FedSubscription {
  readonly topics: readonly string[];
  readonly after: string;
  readonly #messages: Message[] = [];
  #wake: () => void = () => undefined;
  #error: unknown;
  isClosed = false;

  constructor(topics: readonly string[], after: string) {
    this.topics = topics;
    this.after = after;
  }

  push(message: Message): void {
    this.#messages.push(message);
    this.#wake();
  }

  fail(error: unknown): void {
    this.#error = error;
    this.#wake();
  }

  close(): void {
    this.isClosed = true;
    this.#wake();
  }

  async *messages(): AsyncGenerator<Message> {
    while (!this.isClosed) {
      const message = this.#messages.shift();
      if (message) yield message;
      else if (this.#error) throw this.#error;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

/** A log with the inbox of one user, of which a test decides everything. Nothing is marked in it, unless a test says so. */
export class InboxService {
  readonly clock = new VirtualClock();
  readonly requests: string[] = [];
  readonly subscriptions: FedSubscription[] = [];
  readonly events: { readonly sequence: number; readonly event: CloudEvent }[] = [];
  follows: object[] = [];
  mutes: object[] = [];
  /** The end of the log. */
  end = 0;
  read = new Set<number>();
  until: string | undefined;
  /** Answers to posts. */
  post: (body: Record<string, unknown>) => unknown = () => undefined;
  /** Called before each answer; may fail it, or change the log meanwhile. */
  before: (path: string) => void = () => undefined;

  /** Holds an answer back once it is made. */
  after: (path: string) => Promise<void> = async () => undefined;

  get open(): FedSubscription[] {
    return this.subscriptions.filter(({ isClosed }) => !isClosed);
  }

  get pages(): string[] {
    return this.requests.filter((one) => one.startsWith('GET /v1/inbox?'));
  }

  openInbox(options: InboxOptions = {}): OpenInbox {
    const environment = {
      ...systemEnvironment(),
      now: () => this.clock.nowMs,
      wall: () => this.clock.nowMs,
      random: () => 0.5,
      timer: (run: () => void, ms: number) => this.clock.timer(run, ms),
    };
    const client = {
      on: () => () => undefined,
      request: async <Body>(method: string, path: string, { body }: RequestOptions = {}) => {
        const answer = this.#answer(method, path, body) as Body;
        await this.after(path);
        return { status: 200, headers: new Headers(), body: answer };
      },
      subscribe: (topics: string | readonly string[], { after = '' } = {}) => {
        const subscription = new FedSubscription([topics].flat(), after);
        this.subscriptions.push(subscription);
        return subscription as unknown as Subscription;
      },
    };
    return new OpenInbox(client, options, environment);
  }

  /** Stores an item, and sends it to whoever has subscribed. */
  item(topic = 'user.me.a', type = 'note'): string {
    const event = { specversion: '1.0', id: `${this.end + 1}`, source: '/x', type, topic };
    this.events.push({ sequence: this.end + 1, event });
    return this.send(event);
  }

  items(count: number): string[] {
    return Array.from({ length: count }, () => this.item());
  }

  erase(cursor: string): void {
    const at = this.events.findIndex(({ sequence }) => toCursor(sequence) === cursor);
    const [erased] = this.events.splice(at, 1);
    this.read.delete(toSequence(cursor));
    const data = { record: toCursor(++this.end), cursors: [cursor] };
    const topic = `tidemark.erased.${erased?.event.topic}`;
    this.send({ specversion: '1.0', id: 'n', source: '/x', type: 'tidemark.erased', topic, data });
  }

  /** A change of the inbox, by whichever device: these items are read. */
  markRead(sequences: readonly number[], change: object = { mark: 'read', cursors: [] }): string {
    this.read = new Set([...this.read, ...sequences]);
    const nothing = { upTo: toCursor(0), except: [] };
    const data = {
      topics: ['user.me.>'],
      follows: this.follows,
      mutes: this.mutes,
      seen: nothing,
      read: { upTo: toCursor(0), except: [...this.read].map(toCursor) },
      archived: nothing,
      snoozed: [],
      recent: [],
      counts: this.counts(),
      change,
    };
    const event = { specversion: '1.0', id: 'c', source: '/x', type: 'tidemark.inbox.changed' };
    return this.send({ ...event, topic: 'inbox.me', publisher: 'me', data });
  }

  send(event: CloudEvent): string {
    const cursor = toCursor(++this.end);
    for (const one of this.open) one.push({ type: 'event', event, cursor });
    return cursor;
  }

  counts() {
    const unread = this.events.filter(({ sequence }) => !this.read.has(sequence)).length;
    const { until } = this;
    return {
      unseen: unread,
      unread,
      more: false,
      cursor: toCursor(this.end),
      ...(until && { until }),
    };
  }

  #answer(method: string, path: string, body: unknown): unknown {
    this.requests.push(`${method} ${path}`);
    this.before(path);
    if (method === 'POST') return this.post(JSON.parse(String(body)) as Record<string, unknown>);
    const { pathname, searchParams } = new URL(path, 'http://x');
    if (pathname === '/v1/inbox/follows') {
      const { follows, mutes } = this;
      const topics = ['user.me.>'];
      return { inbox: 'inbox.me', topics, follows, mutes, cursor: toCursor(this.end) };
    }
    return this.#page(searchParams);
  }

  #page(query: URLSearchParams) {
    const before = query.has('before') ? toSequence(query.get('before')) : Number.MAX_SAFE_INTEGER;
    const limit = Number(query.get('limit'));
    const below = this.events.filter(({ sequence }) => sequence < before).reverse();
    const shown = below.slice(0, limit);
    const last = shown.at(-1);
    const items = shown.map(({ sequence, event }) => {
      const read = this.read.has(sequence);
      return { cursor: toCursor(sequence), event, state: { seen: read, read, archived: false } };
    });
    const next = below.length > limit && last ? toCursor(last.sequence) : null;
    return { items, ...this.counts(), next };
  }
}

export function failure(code: string, retryable = false): TidemarkClientError {
  return new TidemarkClientError({ code, message: code, retryable });
}
