import type { CloudEvent, CountsData, FollowData, InboxPattern } from '@tidemark/protocol';
import { makeToken, type Service } from '../support/services.ts';
import type { System } from '../support/system.ts';

export interface InboxItem {
  readonly cursor: string;
  readonly event: CloudEvent;
  readonly state: {
    readonly seen: boolean;
    readonly read: boolean;
    readonly archived: boolean;
    readonly snoozed?: string;
  };
}

export type InboxPage = CountsData & {
  readonly items: readonly InboxItem[];
  readonly next: string | null;
};

export interface Follows {
  readonly topics: readonly string[];
  readonly follows: readonly (FollowData & { readonly permitted: boolean })[];
  readonly mutes: readonly InboxPattern[];
  readonly cursor: string;
}

export type Changed = CountsData & { readonly changed: string | null };

/** What a user's token permits unless a test says otherwise. */
export const INBOX_SCOPE = 'inbox:> subscribe:news.> subscribe:project.> subscribe:user.>';

export interface InboxAnswer<T> {
  readonly status: number;
  readonly body: T & { readonly code?: string };
  readonly position: string | null;
}

/** One device of a user. */
export class InboxUser {
  readonly #replay: Service;
  readonly #subject: string;
  readonly #scope: string;

  constructor(replay: Service, subject: string, scope = INBOX_SCOPE) {
    this.#replay = replay;
    this.#subject = subject;
    this.#scope = scope;
  }

  async ask<T>(path: string, body?: object): Promise<InboxAnswer<T>> {
    const token = await makeToken(this.#scope, this.#subject);
    const answer = await fetch(`${this.#replay.url}/v1/inbox${path}`, {
      method: body ? 'POST' : 'GET',
      headers: { authorization: `Bearer ${token}` },
      ...(body && { body: JSON.stringify(body) }),
    });
    const position = answer.headers.get('tidemark-position');
    return { status: answer.status, body: JSON.parse(await answer.text()), position };
  }

  /** Fails the test unless the answer is 200. */
  async get<T>(path: string, body?: object): Promise<T> {
    const { status, body: answer } = await this.ask<T>(path, body);
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(answer)}`);
    return answer;
  }

  page(query = ''): Promise<InboxPage> {
    return this.get(query);
  }

  counts(query = ''): Promise<CountsData> {
    return this.get(`/counts${query}`);
  }

  follows(): Promise<Follows> {
    return this.get('/follows');
  }

  mark(mark: string, more: object): Promise<Changed> {
    return this.get('/marks', { mark, ...more });
  }

  change(change: string, pattern: string, more: object = {}): Promise<Changed> {
    return this.get('/follows', { change, pattern, ...more });
  }
}

let number = 0;

/** Publishes an event through ingest. @returns its cursor */
export async function publishItem(
  { ingest, token }: Pick<System, 'ingest' | 'token'>,
  topic: string,
  more: object = {},
): Promise<string> {
  const answer = await fetch(`${ingest.url}/v1/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ id: `item-${++number}`, type: 'note', topic, ...more }),
  });
  const text = await answer.text();
  if (answer.status !== 201) throw new Error(`${answer.status} ${text}`);
  return (JSON.parse(text) as { cursor: string }).cursor;
}

export function idsOf({ items }: InboxPage): string[] {
  return items.map(({ event }) => event.id);
}

export function cursorsOf({ items }: InboxPage): string[] {
  return items.map(({ cursor }) => cursor);
}
