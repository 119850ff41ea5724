import { pause } from './backoff.ts';
import { splitChunks } from './chunks.ts';
import { closedError, type Fault, TidemarkPublisherError } from './errors.ts';
import {
  type Completion,
  completeEvent,
  type OutgoingEvent,
  toNamedEvent,
} from './outgoing-event.ts';
import { QueuedEvent } from './queued-event.ts';
import { placeOf, SendQueue } from './send-queue.ts';
import type { Transport } from './transport.ts';
import type {
  AppendOptions,
  BatchOptions,
  CloseOptions,
  EventAttributes,
  PublisherOptions,
} from './types.ts';

const DEADLINE_MS = 60_000;
/** The stream recognises repeats for ten minutes: half of it leaves room for the last attempt. */
const DEADLINE_MS_MAX = 300_000;

interface Request {
  readonly signal?: AbortSignal | undefined;
  readonly ifMatch?: AppendOptions['ifMatch'] | undefined;
}

/** What publishers have in common, whatever their transport. `types.ts` says what its methods do. */
export class QueuedPublisher<Result> {
  readonly #transport: Transport<Result>;
  readonly #queue: SendQueue<Result>;
  readonly #completion: Completion;
  readonly #deadlineMs: number;
  #isClosed = false;

  /** @throws RangeError for a deadline that is out of range */
  constructor(transport: Transport<Result>, options: PublisherOptions) {
    const { source, deadlineMs = DEADLINE_MS, queue } = options;
    if (!(deadlineMs > 0 && deadlineMs <= DEADLINE_MS_MAX)) {
      throw new RangeError(`deadlineMs must be positive, and at most ${DEADLINE_MS_MAX}.`);
    }
    this.#transport = transport;
    this.#queue = new SendQueue(transport, queue);
    this.#completion = { source, check: transport.check };
    this.#deadlineMs = deadlineMs;
  }

  // Until its first `await` it runs in the call, so that events keep the order of the calls.
  async publish(topic: string, event: EventAttributes, request: Request = {}): Promise<Result> {
    const { signal, ifMatch } = request;
    const outgoing = completeEvent(topic, event, this.#completion);
    try {
      const [stored] = this.#add([outgoing], { signal, ifMatch, shared: ifMatch === undefined });
      return (await stored) as Result;
    } catch (error) {
      throw withEvents(error, [outgoing]);
    }
  }

  async append(topic: string, event: EventAttributes, options: AppendOptions): Promise<Result> {
    // Without a condition it would be stored in any case: nobody who calls this wants that.
    requireCursors(options?.ifMatch);
    return await this.publish(topic, event, options);
  }

  async publishBatch(
    events: Iterable<EventAttributes & { readonly topic: string }>,
    { signal, keepOrder = true }: BatchOptions = {},
  ): Promise<Result[]> {
    const outgoing = Array.from(events, (event, index) => {
      return completeEvent(event?.topic, event, { ...this.#completion, path: `[${index}]` });
    });
    const { eventsMax, bytesMax } = this.#transport;
    const results: Result[] = [];
    for (const chunk of splitChunks(outgoing, { eventsMax, bytesMax, keepOrder })) {
      const offset = results.length;
      try {
        signal?.throwIfAborted();
        results.push(...(await Promise.all(this.#add(chunk, { signal, shared: false }))));
      } catch (error) {
        const place = (fault: Fault) => inBatch(fault, offset, chunk.length);
        throw withEvents(error, outgoing.slice(offset), place);
      }
    }
    return results;
  }

  async close({ withinMs }: CloseOptions = {}): Promise<void> {
    this.#isClosed = true;
    const idle = this.#queue.idle();
    if (withinMs === undefined) return idle;
    await pause(withinMs, idle);
    this.#queue.abort();
  }

  #add(
    outgoing: readonly OutgoingEvent[],
    { signal, ifMatch, shared }: Request & { readonly shared: boolean },
  ): Promise<Result>[] {
    if (this.#isClosed) throw closedError();
    signal?.throwIfAborted();
    const bytes = outgoing.reduce((sum, one) => sum + one.bytes, 0);
    this.#queue.requireRoom(outgoing.length, bytes);
    const options = { deadlineMs: this.#deadlineMs, signal };
    const events = outgoing.map((event) => new QueuedEvent<Result>(event, options));
    this.#queue.add({ events, shared, ifMatch });
    return events.map(({ stored }) => stored);
  }
}

/** What stands between the quotes of an entity tag (RFC 9110 section 8.8.3). */
const CURSOR = /^[!#-~]+$/;

function requireCursors(ifMatch: AppendOptions['ifMatch'] | undefined): void {
  if (ifMatch === null) return;
  const cursors = [ifMatch ?? []].flat();
  if (cursors.length > 0 && cursors.every((one) => CURSOR.test(one))) return;
  const message = 'ifMatch must be a cursor, a list of cursors, or null.';
  throw new TidemarkPublisherError({ code: 'invalid_cursor', message, retryable: false });
}

/** Adds what the caller may publish again. */
function withEvents(
  error: unknown,
  events: readonly OutgoingEvent[],
  place: (fault: Fault) => Fault = (fault) => fault,
): unknown {
  if (!(error instanceof TidemarkPublisherError)) return error;
  const { code, message, retryable, cursor, retryAfterMs } = error;
  const faults = error.faults.map(place);
  return new TidemarkPublisherError(
    { code, message, retryable, cursor, faults },
    { retryAfterMs, events: events.map(toNamedEvent), cause: error.cause },
  );
}

/** The path of a fault in the batch of the caller. A request with one event names no place in its paths. */
function inBatch({ path, message }: Fault, offset: number, count: number): Fault {
  if (count > 1) {
    const at = placeOf(path);
    return { path: at < 0 ? path : path.replace(`[${at}]`, `[${offset + at}]`), message };
  }
  return { path: path === '$' ? `[${offset}]` : `[${offset}].${path}`, message };
}
