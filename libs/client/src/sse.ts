import type { Environment } from './environment.ts';
import { refusal } from './requests.ts';
import {
  type LinkListener,
  type OpenLink,
  REFUSED,
  type Request,
  type ServerMessage,
} from './wire.ts';

/** The gateway's heartbeat if nobody changed it: over SSE it does not say. */
const HEARTBEAT_MS = 15_000;
/** The largest event that there is (PROTOCOL 7), and room for its field names. A longer line is no SSE of ours. */
const LINE_MAX = 1 << 20;

/**
 * SSE for where WebSocket does not get through (PROTOCOL 7): a stream of its own for each subscription, by `fetch`,
 * which can send the token and the start in a body. When one of the streams ends, so does the link.
 */
export function sseLink(
  url: string,
  environment: Environment,
  traceparent: () => string | undefined,
): OpenLink {
  return (token, listener) => {
    const streams = new Map<string, AbortController>();
    let over = false;
    const close = () => {
      over = true;
      for (const stream of streams.values()) stream.abort();
    };
    const end = (code: number, reason: string) => {
      if (over) return;
      close();
      listener.ended({ code, reason });
    };
    const heard: LinkListener = {
      alive: () => over || listener.alive(),
      message: (message, size) => over || listener.message(message, size),
      ended: ({ code, reason }) => end(code, reason),
    };
    const open = async (id: string, request: Request, signal: AbortSignal) => {
      const trace = traceparent();
      const response = await environment.fetch(`${url}/v1/sse`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          ...(trace && { traceparent: trace }),
        },
        body: JSON.stringify(request),
        signal,
      });
      if (!response.ok || !response.body) {
        const body: unknown = await response.json().catch(() => undefined);
        const { code, message, retryable } = refusal(response, body);
        const isToken = code === 'unauthenticated' || code === 'token_expired';
        if (isToken) return end(REFUSED, message);
        return heard.message({ type: 'error', id, code, message, retryable }, 0);
      }
      await readBlocks(response.body, new BlockReader(id, heard), heard);
      if (!signal.aborted) end(1006, 'The stream has ended.');
    };
    // As `welcome` does, once the caller has the link.
    queueMicrotask(() => heard.message({ type: 'welcome', heartbeatMs: HEARTBEAT_MS }, 0));
    return {
      subscribe: (id, request) => {
        const stream = new AbortController();
        streams.set(id, stream);
        open(id, request, stream.signal).catch((error: unknown) => {
          if (!stream.signal.aborted) end(1006, String(error));
        });
      },
      unsubscribe: (id) => {
        streams.get(id)?.abort();
        streams.delete(id);
      },
      authenticate: () => false,
      ping: () => undefined,
      close,
    };
  };
}

async function readBlocks(
  body: ReadableStream<Uint8Array>,
  blocks: BlockReader,
  listener: LinkListener,
): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    listener.alive();
    const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LINE_MAX) throw new Error('A line is too long.');
    for (const line of lines) blocks.line(line);
  }
}

/** Turns blocks into the messages that WebSocket has, with the id of their subscription. */
class BlockReader {
  readonly #id: string;
  readonly #listener: LinkListener;
  #type = '';
  #data = '';
  #cursor: string | undefined;
  #begun = false;

  constructor(id: string, listener: LinkListener) {
    this.#id = id;
    this.#listener = listener;
  }

  line(line: string): void {
    if (line === '') this.#end();
    else if (line.startsWith('data: ')) this.#data = line.slice(6);
    else if (line.startsWith('event: ')) this.#type = line.slice(7);
    else if (line.startsWith('id: ')) this.#cursor = line.slice(4);
  }

  #end(): void {
    const { message, size } = this.#message();
    this.#type = '';
    this.#data = '';
    this.#cursor = undefined;
    if (message) this.#listener.message(message, size);
  }

  #message(): { message?: ServerMessage; size: number } {
    const size = this.#data.length;
    if (size === 0) return { size };
    const id = this.#id;
    const data = JSON.parse(this.#data);
    switch (this.#type) {
      case '':
        // Without an `id` it is one of the last events.
        if (this.#cursor === undefined) return { message: { type: 'last', id, event: data }, size };
        return { message: { type: 'event', id, cursor: this.#cursor, event: data }, size };
      case 'position': {
        const type = this.#begun ? 'heartbeat' : 'subscribed';
        this.#begun = true;
        return { message: { type, id, cursor: data.cursor }, size };
      }
      case 'gap':
        this.#begun = true;
        return { message: { type: 'gap', id, ...data }, size };
      case 'live':
      case 'skipped':
      case 'error':
        return { message: { ...data, type: this.#type, id }, size };
      default:
        return { size };
    }
  }
}
