import type { CloudEvent } from '../types.ts';
import { Refusal } from './answers.ts';
import { type Permissions, requireEvent, requireNotReserved } from './checks.ts';
import type { FakeInbox } from './inbox.ts';
import type { FakeLog } from './log.ts';

/** What a request was answered with. */
export interface Reply {
  readonly status: number;
  readonly body: object;
}

export interface Asking {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

export interface ServicesParts {
  readonly log: FakeLog;
  readonly inbox: FakeInbox;
  readonly permissions: Permissions;
  readonly user: string;
  /** Stores an event, and sends it to who is connected. */
  readonly append: (event: Record<string, unknown>) => string;
  readonly published: CloudEvent[];
  /** @throws Refusal where the test wants the next such request to be refused */
  readonly refuse: (next: 'publish' | 'inbox') => void;
}

/** The HTTP endpoints that the client library uses: the head, publishing, and the inbox (PROTOCOL 4.1, 10 and 14). */
export class FakeServices {
  readonly #parts: ServicesParts;
  /** What was published, by what makes an event a repeat. */
  readonly #known = new Map<string, { readonly text: string; readonly cursor: string }>();

  constructor(parts: ServicesParts) {
    this.#parts = parts;
  }

  /** @throws Refusal */
  answer({ method, path, headers, body }: Asking): Reply {
    const { pathname, searchParams } = new URL(path, 'http://fake');
    const { log, inbox, refuse } = this.#parts;
    if (`${method} ${pathname}` === 'GET /v1/head')
      return { status: 200, body: { cursor: log.end } };
    if (`${method} ${pathname}` === 'POST /v1/events') {
      refuse('publish');
      return { status: 201, body: this.#publish(JSON.parse(body ?? ''), headers) };
    }
    if (pathname.startsWith('/v1/inbox')) {
      refuse('inbox');
      const input = body === undefined ? undefined : JSON.parse(body);
      return { status: 200, body: inbox.answer(method, pathname, searchParams, input) };
    }
    throw new Refusal('not_found', 'There is nothing under this path.');
  }

  #publish(input: Record<string, unknown>, headers: Asking['headers']): object {
    const { permissions, user, published, append } = this.#parts;
    const topic = requireEvent(input);
    permissions.require('publish', topic);
    requireNotReserved(topic);
    const source = String(input.source ?? `/users/${user}`);
    const { traceparent = headers.traceparent } = input;
    const event = {
      ...{ specversion: '1.0', source, time: new Date().toISOString(), ...input, topic },
      ...{ publisher: user, ...(traceparent !== undefined && { traceparent }) },
    };
    const answer = { id: String(input.id), source, topic };
    const { time: _, traceparent: __, ...rest } = event as Record<string, unknown>;
    const key = JSON.stringify([topic, source, answer.id]);
    const known = this.#known.get(key);
    const text = JSON.stringify(rest);
    if (known && known.text !== text) {
      const message = 'The topic has another event with this source and id.';
      throw new Refusal('conflict', message, { cursor: known.cursor });
    }
    if (known) return { ...answer, cursor: known.cursor, duplicate: true };
    this.#requireCondition(topic, headers);
    const cursor = append(event);
    this.#known.set(key, { text, cursor });
    published.push(event as unknown as CloudEvent);
    return { ...answer, cursor, duplicate: false };
  }

  #requireCondition(topic: string, headers: Asking['headers']): void {
    const { log } = this.#parts;
    const { 'if-match': match, 'if-none-match': noneMatch } = headers;
    if (match === undefined && noneMatch === undefined) return;
    const last = log.events.findLast(({ event }) => event.topic === topic);
    const cursor = last ? log.cursorOf(last.sequence) : null;
    const wanted = match?.split(',').map((tag) => tag.trim().slice(1, -1)) ?? [];
    if (noneMatch === undefined ? cursor !== null && wanted.includes(cursor) : cursor === null)
      return;
    const found = cursor === null ? 'has no event' : `is at ${cursor}`;
    throw new Refusal('precondition_failed', `The topic ${topic} ${found}.`, { cursor });
  }
}
