import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { WebSocket } from 'ws';
import type { Answer } from './attempts.ts';
import { SOURCE } from './attempts.ts';

const ANSWER_MS = 6000;

interface Item {
  readonly cursor: string;
  readonly duplicate: boolean;
}

/** Answers that say nothing about whether the event was stored. */
const UNDECIDED = new Set(['unavailable', 'internal']);

/** One event over HTTP, under a condition where there is one. */
export async function sendOverHttp(
  url: string,
  token: string,
  event: object,
  condition?: string | null,
): Promise<Answer> {
  const headers: Record<string, string> =
    condition === undefined
      ? {}
      : condition === null
        ? { 'if-none-match': '*' }
        : { 'if-match': `"${condition}"` };
  const response = await post(url, token, 'application/cloudevents+json', event, headers);
  return toAnswer(response.status, response.body);
}

/** Events in one request. All get the same answer unless it is 201. */
export async function sendBatch(
  url: string,
  token: string,
  events: readonly object[],
): Promise<Answer[]> {
  const type = 'application/cloudevents-batch+json';
  const { status, body } = await post(url, token, type, events, {});
  if (status !== 201) return events.map(() => toAnswer(status, body));
  return (body as Item[]).map((item) => toAnswer(status, item));
}

async function post(
  url: string,
  token: string,
  type: string,
  body: object,
  more: Record<string, string>,
) {
  const response = await fetch(`${url}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': type, authorization: `Bearer ${token}`, ...more },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  return { status: response.status, body: (await response.json()) as unknown };
}

function toAnswer(status: number, body: unknown): Answer {
  if (status === 201) {
    const { cursor, duplicate } = body as Item;
    return { outcome: duplicate ? 'duplicate' : 'stored', cursor };
  }
  const { code, cursor } = body as { code: string; cursor?: string | null };
  const outcome = status >= 500 ? 'unknown' : 'refused';
  return { outcome, code, ...(cursor !== undefined && { cursor }) };
}

/** One event straight to the stream (PROTOCOL.md section 12). */
export async function sendOverNats(
  connection: NatsConnection,
  topic: string,
  event: { id: string },
): Promise<Answer> {
  const answer = await jetstream(connection).publish(
    `tidemark.events.${topic}`,
    JSON.stringify(event),
    { msgID: `${SOURCE} ${event.id}`, timeout: ANSWER_MS },
  );
  return { outcome: answer.duplicate ? 'duplicate' : 'stored' };
}

/** A WebSocket connection that publishes; it connects anew when it is needed. */
export class WebSocketSender {
  readonly #token: string;
  #socket: WebSocket | undefined;
  readonly #waiting = new Map<string, (answer: Answer) => void>();
  #count = 0;

  constructor(token: string) {
    this.#token = token;
  }

  async send(url: string, event: object): Promise<Answer> {
    const socket = await this.#open(url);
    const id = String(++this.#count);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#answer(id, { outcome: 'unknown' });
        socket.terminate();
      }, ANSWER_MS);
      this.#waiting.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      socket.send(JSON.stringify({ type: 'publish', id, event }));
    });
  }

  close(): void {
    this.#socket?.terminate();
  }

  #open(url: string): Promise<WebSocket> {
    const open = this.#socket;
    if (open?.readyState === WebSocket.OPEN) return Promise.resolve(open);
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/ws`, ['tidemark.v1'], {
      headers: { authorization: `Bearer ${this.#token}` },
      handshakeTimeout: ANSWER_MS,
    });
    this.#socket = socket;
    socket.on('message', (bytes) => this.#receive(JSON.parse(String(bytes))));
    socket.on('close', () => {
      for (const id of this.#waiting.keys()) this.#answer(id, { outcome: 'unknown' });
    });
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(socket));
      socket.on('error', reject);
    });
  }

  #receive(message: { type: string; id?: string; code?: string } & Partial<Item>): void {
    const { type, id = '', code, cursor, duplicate } = message;
    if (type === 'published' && cursor !== undefined) {
      this.#answer(id, { outcome: duplicate ? 'duplicate' : 'stored', cursor });
    } else if (type === 'error' && code !== undefined) {
      this.#answer(id, { outcome: UNDECIDED.has(code) ? 'unknown' : 'refused', code });
    }
  }

  #answer(id: string, answer: Answer): void {
    this.#waiting.get(id)?.(answer);
    this.#waiting.delete(id);
  }
}
