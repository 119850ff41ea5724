import { serviceUrl } from '../api/configuration.ts';
import { ApiError } from '../api/request.ts';
import { currentToken } from '../api/session.ts';

/** An event to store; the gateway adds `source`, `time` and `specversion` (PROTOCOL.md section 6.2). */
export interface NewEvent {
  /** The same for each attempt: an event that is stored already is not stored again. */
  readonly id: string;
  readonly type: string;
  readonly topic: string;
  readonly data?: unknown;
  readonly traceparent?: string;
}

/** What `published` tells. */
export interface Published {
  readonly cursor: string;
  readonly duplicate: boolean;
}

/** After this time without an answer nobody knows whether the event was stored. */
const ANSWER_MS = 10_000;
/** A socket that nobody publishes over is closed. */
const IDLE_MS = 30_000;
/** Events that may wait for their answer. The gateway takes 64 of a connection (section 8.2). */
const WAITING_MAX = 32;

interface Waiting {
  readonly resolve: (published: Published) => void;
  readonly reject: (error: ApiError) => void;
}

/**
 * Publishes over a WebSocket of its own at the gateway. The client library publishes at ingest, which the page of the
 * console may not reach: the gateway is what it certainly reaches.
 */
export class GatewayPublisher {
  #socket: WebSocket | undefined;
  readonly #waiting = new Map<string, Waiting>();
  #unsent: string[] = [];
  #idle: ReturnType<typeof setTimeout> | undefined;
  #number = 0;

  /**
   * @throws {ApiError} what the gateway answered; `offline` where no answer came: the event may have been stored then, and
   *   the same one can be published again
   */
  async publish(event: NewEvent): Promise<Published> {
    if (this.#waiting.size >= WAITING_MAX) {
      throw new ApiError('limit_exceeded', `${WAITING_MAX} events wait for an answer.`, 0);
    }
    const id = `p${++this.#number}`;
    const answer = new Promise<Published>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    this.#send(JSON.stringify({ type: 'publish', id, event }));
    const late = setTimeout(() => this.#settle(id, unknownOutcome()), ANSWER_MS);
    try {
      return await answer;
    } finally {
      clearTimeout(late);
    }
  }

  close(): void {
    clearTimeout(this.#idle);
    const socket = this.#socket;
    this.#socket = undefined;
    // Whoever published it hears now that nobody answered.
    this.#unsent = [];
    socket?.close();
    for (const id of [...this.#waiting.keys()]) this.#settle(id, unknownOutcome());
  }

  #send(text: string): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.close(), IDLE_MS);
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(text);
      return;
    }
    this.#unsent.push(text);
    this.#socket ??= this.#open();
  }

  #open(): WebSocket {
    const url = `${serviceUrl('gateway').replace(/^http/, 'ws')}/v1/ws`;
    const socket = new WebSocket(url, ['tidemark.v1', `bearer.${currentToken()}`]);
    socket.onopen = () => {
      for (const text of this.#unsent.splice(0)) socket.send(text);
    };
    socket.onmessage = ({ data }: MessageEvent<string>) => this.#receive(JSON.parse(data));
    socket.onclose = () => {
      if (this.#socket === socket) this.close();
    };
    return socket;
  }

  #receive(message: { type: string; id?: string } & Record<string, unknown>): void {
    if (message.type === 'published') {
      const { cursor, duplicate } = message as unknown as Published;
      this.#settle(message.id ?? '', { cursor, duplicate });
    } else if (message.type === 'error') {
      const { code, message: text } = message as unknown as { code: string; message: string };
      this.#settle(message.id ?? '', new ApiError(code, text, 0));
    }
  }

  #settle(id: string, outcome: Published | ApiError): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (outcome instanceof ApiError) waiting?.reject(outcome);
    else waiting?.resolve(outcome);
  }
}

function unknownOutcome(): ApiError {
  const message = 'No answer came. The event may have been stored; the same one can be sent again.';
  return new ApiError('offline', message, 0);
}
