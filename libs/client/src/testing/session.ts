import { topicMatcher, typeMatcher } from '../patterns.ts';
import type { CloudEvent, Gap } from '../types.ts';
import type { Request } from '../wire.ts';
import { Refusal } from './answers.ts';
import { requireCursor, requirePatterns, requireTypes } from './checks.ts';
import type { FakeLog, Stored } from './log.ts';

/** Long enough that no test comes to it. */
const HEARTBEAT_MS = 2 ** 30;

interface Asked extends Request {
  readonly type: string;
  readonly id: string;
}

interface Open {
  readonly id: string;
  readonly takes: (event: CloudEvent) => boolean;
}

/** What a session takes from its gateway. */
export interface SessionHost {
  readonly log: FakeLog;
  /** Something happened. */
  moved(): void;
  /** @throws Refusal where the handshake is to fail */
  accept(): void;
  /** @throws Refusal where the subscription is to be refused */
  admit(patterns: readonly string[]): void;
  ended(session: FakeSocket): void;
}

/**
 * A WebSocket with the gateway behind it (PROTOCOL 6). All subscriptions have come to the end of the log: a new one
 * catches up in one go.
 */
export class FakeSocket {
  readyState = 0;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly #host: SessionHost;
  readonly #open = new Map<string, Open>();
  readonly #outgoing: object[] = [];
  /** Up to where the subscriptions have come. */
  #at: string;

  constructor(host: SessionHost) {
    this.#host = host;
    this.#at = host.log.end;
    void Promise.resolve().then(() => this.#accept());
  }

  send(text: string): void {
    const message: Asked = JSON.parse(text);
    this.#host.moved();
    switch (message.type) {
      case 'subscribe':
        this.#subscribe(message);
        return;
      case 'unsubscribe':
        this.#open.delete(message.id);
        this.#say({ type: 'unsubscribed', id: message.id });
        return;
      case 'authenticate':
        this.#say({ type: 'authenticated' });
        return;
      case 'ping':
        this.#say({ type: 'pong' });
    }
  }

  close(): void {
    this.readyState = 3;
    this.#host.ended(this);
  }

  /** The connection ends, and the client is told. */
  end(code: number, reason = ''): void {
    if (this.readyState === 3) return;
    this.close();
    this.#host.moved();
    this.onclose?.({ code, reason });
  }

  /** Sends what the log has since. */
  follow(): void {
    const all = [...this.#open.values()];
    if (this.readyState !== 1) return;
    const news = this.#since(this.#at);
    this.#at = this.#host.log.end;
    if (all.length === 0) return;
    for (const one of news) this.#pass(one, all);
    const last = news.at(-1);
    const isReached = last && 'event' in last && all.every(({ takes }) => takes(last.event));
    if (!isReached) this.#say({ type: 'heartbeat', cursor: this.#at });
  }

  #accept(): void {
    if (this.readyState !== 0) return;
    try {
      this.#host.accept();
    } catch {
      this.end(1006);
      return;
    }
    this.readyState = 1;
    this.#at = this.#host.log.end;
    this.#say({ type: 'welcome', heartbeatMs: HEARTBEAT_MS });
  }

  #subscribe({ id, topics, types, after = 'latest', atLeast, deliver }: Asked): void {
    const { log } = this.#host;
    try {
      requireTypes(types);
      requirePatterns(topics);
      if (atLeast !== undefined) requireCursor(atLeast);
      const { sequence, gap } = log.find(after);
      this.#host.admit(topics);
      const [matchesTopic, matchesType] = [topicMatcher(topics), typeMatcher(types)];
      const takes = ({ topic, type }: CloudEvent) => matchesTopic(topic) && matchesType(type);
      const one = { id, takes };
      this.#say({ type: 'subscribed', id, cursor: gap ? after : log.cursorOf(sequence) });
      if (after === 'last') this.#sayLast(one);
      else this.#catchUp(one, gap ? [gap, ...log.after(sequence)] : log.after(sequence), deliver);
      this.#say({ type: 'live', id, cursor: log.end });
      this.#open.set(id, one);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#say({ type: 'error', id, ...error.body });
    }
  }

  #sayLast({ id, takes }: Open): void {
    const { log } = this.#host;
    const newest = new Map<string, Stored>();
    for (const one of log.events.filter(({ event }) => takes(event))) {
      // The order is that of the log.
      newest.delete(one.event.topic);
      newest.set(one.event.topic, one);
    }
    for (const gap of log.gaps) this.#say({ type: 'gap', id, ...gap });
    for (const { sequence, event } of newest.values()) {
      this.#say({ type: 'last', id, cursor: log.cursorOf(sequence), event });
    }
  }

  #catchUp(one: Open, entries: readonly (Stored | Gap)[], deliver: string | undefined): void {
    const { log } = this.#host;
    const skipped = new Set<Stored | Gap>(
      deliver === 'latest' ? olderOnes(entries, one.takes) : [],
    );
    for (const entry of entries) if (!skipped.has(entry)) this.#pass(entry, [one]);
    if (skipped.size === 0) return;
    this.#say({ type: 'skipped', id: one.id, count: skipped.size, cursor: log.end });
  }

  /** An event goes out once for all that take it, and a gap once for each. */
  #pass(entry: Stored | Gap, to: readonly Open[]): void {
    if ('reason' in entry) {
      for (const { id } of to) this.#say({ type: 'gap', id, ...entry });
      return;
    }
    const { sequence, event } = entry;
    if (!to.some(({ takes }) => takes(event))) return;
    this.#say({ type: 'event', cursor: this.#host.log.cursorOf(sequence), event });
  }

  #since(cursor: string): (Stored | Gap)[] {
    const { log } = this.#host;
    const { sequence, gap } = log.find(cursor);
    return gap ? [gap, ...log.after(sequence)] : log.after(sequence);
  }

  /** As over a network, nothing comes while the client still speaks. */
  #say(message: object): void {
    this.#outgoing.push(message);
    if (this.#outgoing.length === 1) void Promise.resolve().then(() => this.#deliver());
  }

  #deliver(): void {
    for (const message of this.#outgoing.splice(0)) {
      if (this.readyState !== 1) return;
      this.#host.moved();
      this.onmessage?.({ data: JSON.stringify(message) });
    }
  }
}

function olderOnes(entries: readonly (Stored | Gap)[], takes: Open['takes']): Stored[] {
  const events = entries.filter((one): one is Stored => 'event' in one && takes(one.event));
  const newest = new Map(events.map((one) => [one.event.topic, one]));
  return events.filter((one) => newest.get(one.event.topic) !== one);
}
