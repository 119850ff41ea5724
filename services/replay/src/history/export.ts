import {
  type Budget,
  type Limits,
  type ProgressOptions,
  type Response,
  WatchedAnswer,
} from '@tidemark/http';
import { asTidemarkError } from '@tidemark/protocol';
import type { Metrics } from '@tidemark/telemetry';
import type { HistoryQuery } from './query.ts';
import { type HistoryRange, type Remaining, toGap } from './range.ts';
import {
  isComplete,
  itemText,
  nextCursor,
  type RunStep,
  STEP_BYTES_MAX,
  type Step,
  walk,
} from './walk.ts';

/** Most that one step reads and writes. The memory of an export is a small multiple of it. */
const STEP_EVENTS_MAX = 500;

export interface ExportsOptions extends ProgressOptions {
  readonly metrics: Metrics;
  readonly limits: Limits;
  /** Most exports of one user at once. */
  readonly exportsPerUserMax: number;
  /** Most exports of all users at once. */
  readonly exportsMax: number;
}

/** Streams whole ranges as NDJSON (PROTOCOL.md section 11). */
export class Exports {
  readonly #written;
  readonly #places: Budget;
  readonly #progress: ProgressOptions;
  #running = 0;

  constructor(options: ExportsOptions) {
    const { metrics, limits, exportsMax, exportsPerUserMax } = options;
    this.#progress = options;
    this.#places = limits.budget('exports', {
      max: exportsMax,
      perUser: { limit: 'exports_per_user', max: exportsPerUserMax },
      of: 'exports',
    });
    this.#written = metrics.counter('history_export_bytes_total', 'Bytes of NDJSON written.');
    metrics.gauge('history_exports', 'NDJSON exports under way.', () => this.#running);
  }

  /**
   * Writes a whole answer.
   *
   * @throws TidemarkError `limit_exceeded`
   */
  async write(response: Response, request: ExportRequest): Promise<void> {
    const place = this.#places.open(request.user);
    place.take(1);
    this.#running++;
    try {
      await writeExport(response, request, {
        count: (bytes) => this.#written.inc(bytes),
        progress: this.#progress,
      });
    } finally {
      this.#running--;
      place.release();
    }
  }
}

interface ExportRequest {
  readonly user: string;
  readonly runStep: RunStep;
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
  { range, query, confirm, runStep }: ExportRequest,
  {
    count,
    progress,
  }: { readonly count: (bytes: number) => void; readonly progress: ProgressOptions },
): Promise<void> {
  const { epoch } = range.bounds;
  const answer = new WatchedAnswer(response, progress);
  let events = 0;
  let left: Remaining = range.range;
  const limits = () => {
    const room = (query.limit ?? Number.POSITIVE_INFINITY) - events;
    if (room === 0 || response.closed || response.req.method === 'HEAD') return undefined;
    return { eventsMax: Math.min(STEP_EVENTS_MAX, room), bytesMax: STEP_BYTES_MAX };
  };
  // Without `no-transform`, compressing proxies hold lines back until a buffer is full.
  response.type('application/x-ndjson').set('Cache-Control', 'no-store, no-transform');
  try {
    if (range.gap) response.write(gapLine(range.gap));
    for await (const step of walk(range, query, { limits, runStep })) {
      confirm();
      events += step.events.length;
      left = step.remaining;
      const bytes = Buffer.from(stepText(step, epoch, query));
      count(bytes.length);
      await answer.write(bytes);
    }
    const next = nextCursor(epoch, left, query.order);
    await answer.end(`${JSON.stringify({ complete: isComplete(left), next })}\n`);
  } catch (error) {
    if (!response.headersSent || response.closed) throw error;
    // The lines so far are correct. The last one shows where to continue.
    const next = nextCursor(epoch, left, query.order);
    const { code, message, retryable } = asTidemarkError(error);
    const line = { complete: false, next, error: { code, message, retryable } };
    await answer.end(`${JSON.stringify(line)}\n`);
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
