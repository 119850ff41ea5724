import type { Limits, Response, Semaphore } from '@tidemark/http';
import { asTidemarkError } from '@tidemark/protocol';
import type { Metrics } from '@tidemark/telemetry';
import { isEmpty } from '../sqlite/log-range.ts';
import type { HistoryQuery } from './query.ts';
import { type HistoryRange, toGap } from './range.ts';
import { itemText, nextCursor, type Step, walk } from './walk.ts';

/** Most that one step reads and writes. The memory of an export is a small multiple of it. */
const STEP_EVENTS_MAX = 500;
const STEP_BYTES_MAX = 256 * 1024;

export interface ExportsOptions {
  readonly metrics: Metrics;
  readonly limits: Limits;
  readonly exportsMax: number;
}

/** Streams whole ranges as NDJSON (PROTOCOL.md section 11). */
export class Exports {
  readonly #written;
  readonly #semaphore: Semaphore;
  #running = 0;

  constructor({ metrics, limits, exportsMax }: ExportsOptions) {
    this.#semaphore = limits.semaphore('exports', { max: exportsMax, of: 'exports' });
    this.#written = metrics.counter('history_export_bytes_total', 'Bytes of NDJSON written.');
    metrics.gauge('history_exports', 'NDJSON exports under way.', () => this.#running);
  }

  /**
   * Writes a whole answer.
   *
   * @throws TidemarkError `limit_exceeded`
   */
  async write(response: Response, request: ExportRequest): Promise<void> {
    const release = this.#semaphore.acquire('all');
    this.#running++;
    try {
      await writeExport(response, request, (bytes) => this.#written.inc(bytes));
    } finally {
      this.#running--;
      release();
    }
  }
}

interface ExportRequest {
  readonly range: HistoryRange;
  readonly query: HistoryQuery;
  /**
   * Called before each step.
   *
   * @throws TidemarkError when the token has expired or was revoked
   */
  readonly confirm: () => void;
}

async function writeExport(
  response: Response,
  { range, query, confirm }: ExportRequest,
  count: (bytes: number) => void,
): Promise<void> {
  const { epoch } = range.bounds;
  let events = 0;
  let left = range.range;
  const limits = () => {
    const room = (query.limit ?? Number.POSITIVE_INFINITY) - events;
    if (room === 0 || response.closed || response.req.method === 'HEAD') return undefined;
    return { eventsMax: Math.min(STEP_EVENTS_MAX, room), bytesMax: STEP_BYTES_MAX };
  };
  response.type('application/x-ndjson');
  try {
    if (range.gap) response.write(gapLine(range.gap));
    for await (const step of walk(range, query, limits)) {
      confirm();
      events += step.events.length;
      left = step.remaining;
      const bytes = Buffer.from(stepText(step, epoch, query));
      count(bytes.length);
      if (bytes.length > 0 && !response.write(bytes)) await drained(response);
    }
    const next = nextCursor(epoch, left, query.order);
    response.end(`${JSON.stringify({ complete: isEmpty(left), next })}\n`);
  } catch (error) {
    if (!response.headersSent) throw error;
    // The lines so far are correct. The last one shows where to continue.
    const next = nextCursor(epoch, left, query.order);
    const { code, message, retryable } = asTidemarkError(error);
    const line = { complete: false, next, error: { code, message, retryable } };
    response.end(`${JSON.stringify(line)}\n`);
    if (code === 'internal') throw error;
  }
}

function stepText({ events, missing }: Step, epoch: string, { order }: HistoryQuery): string {
  const sign = order === 'asc' ? 1 : -1;
  const lines = events.map((event) => ({
    at: event.sequence,
    text: `${itemText(epoch, event)}\n`,
  }));
  if (missing.length === 0) return lines.map(({ text }) => text).join('');
  // A gap goes where its events would be.
  const gaps = missing.map((range) => ({ at: range.to, text: gapLine(toGap(range, epoch)) }));
  return [...lines, ...gaps]
    .sort((left, right) => (left.at - right.at) * sign)
    .map(({ text }) => text)
    .join('');
}

function gapLine(gap: object): string {
  return `${JSON.stringify({ gap })}\n`;
}

/** Waits until the client has read what was written, or is gone. The server closes stalled sockets. */
function drained(response: Response): Promise<void> {
  if (response.closed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}
