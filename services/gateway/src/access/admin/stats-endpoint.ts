import { type Principal, requireAdmin } from '@tidemark/auth';
import type { Confirm, Endpoint, Limits, Request, Response } from '@tidemark/http';
import type { BulletinBoard } from '@tidemark/nats';
import { asTidemarkError, sseError } from '@tidemark/protocol';
import { statsDescription } from '../descriptions.ts';
import { statsOf } from './stats.ts';

/** Most streams of figures at one gateway. */
const STREAMS_MAX = 20;

/** Time between two blocks of a stream, in ms. */
const STATS_MS = 1000;

/** A stream whose client has taken nothing for so many blocks is cut. Blocks are left out until then, and none waits. */
const SKIPPED_MAX = 10;

const SSE_TYPE = 'text/event-stream';

/** What the figures come from, and what ends their streams. */
export interface StatsOptions {
  readonly board: BulletinBoard;
  readonly limits: Pick<Limits, 'semaphore'>;
  readonly confirm: Confirm;
  /** Ends all streams. */
  readonly signal: AbortSignal;
}

/** `GET /v1/admin/stats` (PROTOCOL.md section 13.6): once as JSON, or each second over SSE. */
export function statsEndpoint({ board, limits, confirm, signal }: StatsOptions): Endpoint {
  const places = limits.semaphore('stats_streams', { max: STREAMS_MAX, of: 'streams of figures' });
  const streams = new StatsStreams(() => JSON.stringify(statsOf(board, Date.now())), confirm);
  signal.addEventListener('abort', () => streams.endAll());
  return {
    path: '/v1/admin/stats',
    methods: {
      GET: {
        ...statsDescription,
        serve(request, response, principal) {
          requireAdmin(principal);
          response.vary('Accept');
          if (!wantsStream(request)) {
            response.json(statsOf(board, Date.now()));
            return;
          }
          const release = places.acquire('all');
          response.once('close', release);
          streams.add(response, principal);
        },
      },
    },
  };
}

function wantsStream(request: Request): boolean {
  return request.accepts(['application/json', SSE_TYPE]) === SSE_TYPE;
}

interface StatsStream {
  readonly response: Response;
  readonly principal: Principal;
  skipped: number;
}

/** The streams of figures. All of them get the same bytes. */
class StatsStreams {
  readonly #read: () => string;
  readonly #confirm: Confirm;
  readonly #all = new Set<StatsStream>();
  #timer: NodeJS.Timeout | undefined;

  constructor(read: () => string, confirm: Confirm) {
    this.#read = read;
    this.#confirm = confirm;
  }

  add(response: Response, principal: Principal): void {
    response.set({
      'Content-Type': `${SSE_TYPE}; charset=utf-8`,
      'Cache-Control': 'no-store, no-transform',
      'X-Accel-Buffering': 'no',
    });
    if (response.req.method === 'HEAD') {
      response.end();
      return;
    }
    const stream = { response, principal, skipped: 0 };
    this.#all.add(stream);
    response.once('close', () => this.#delete(stream));
    this.#timer ??= setInterval(() => this.#writeAll(), STATS_MS);
    response.write(this.#block());
  }

  endAll(): void {
    for (const { response } of this.#all) response.end();
  }

  #writeAll(): void {
    const block = this.#block();
    for (const stream of this.#all) this.#write(stream, block);
  }

  #write(stream: StatsStream, block: string): void {
    const { response, principal } = stream;
    try {
      this.#confirm(principal);
    } catch (error) {
      response.end(sseError(asTidemarkError(error).toBody()));
      this.#delete(stream);
      return;
    }
    if (!response.writableNeedDrain) {
      stream.skipped = 0;
      response.write(block);
    } else if (++stream.skipped > SKIPPED_MAX) {
      response.destroy();
    }
  }

  #delete(stream: StatsStream): void {
    this.#all.delete(stream);
    if (this.#all.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #block(): string {
    return `event: stats\ndata: ${this.#read()}\n\n`;
  }
}
