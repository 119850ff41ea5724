import type { IncomingHttpHeaders } from 'node:http';
import {
  asTidemarkError,
  BATCH_TYPE,
  type CloudEvent,
  completeEvent,
  decodeUtf8,
  type EncodedEvent,
  type EventDefaults,
  type EventText,
  type Fault,
  fromBinaryMode,
  fromLatin1,
  type Header,
  hasUtf8Charset,
  parseEvent,
  parseExact,
  refuseCostlyText,
  refuseManyAttributes,
  requirePublishable,
  STRUCTURED_TYPE,
  splitArray,
  TidemarkError,
  type TraceContext,
  toEncoded,
  withContext,
} from '@tidemark/protocol';

/** Most faults that an answer about a batch lists. */
export const FAULTS_MAX = 100;

/** The events of one request, all of them checked. */
export interface Submission {
  /** Whether the request is a batch. The answer of a batch is an array. */
  readonly batch: boolean;
  readonly events: readonly EncodedEvent[];
}

export interface SubmissionContext extends EventDefaults {
  readonly batchEventsMax: number;
  /** The request's trace context, which events without one get. */
  readonly context?: TraceContext | undefined;
  /** Does some milliseconds of work when it is the publisher's turn. */
  readonly runStep: <T>(step: () => T) => Promise<T>;
}

/** Time after which the next events of a batch are read in a step of their own. */
const STEP_MS = 5;

/**
 * Reads a request in one of the content modes of the CloudEvents HTTP binding (section 3), or as a
 * bare JSON body, which is the one mode where missing attributes are filled in.
 *
 * @throws TidemarkError that names every fault found
 */
export async function readSubmission(
  headers: IncomingHttpHeaders,
  body: Uint8Array,
  context: SubmissionContext,
): Promise<Submission> {
  if (mediaTypeOf(headers) !== BATCH_TYPE) {
    return context.runStep(() => readSingle(headers, body, context));
  }
  const items = await context.runStep(() => {
    return splitItems(readText(headers['content-type'], body), context);
  });
  const events = await readAll(items, context, (text, path) => {
    return readEvent(parseText(text, { depth: 1, path }), context, path);
  });
  return { batch: true, events };
}

function mediaTypeOf({ 'content-type': contentType }: IncomingHttpHeaders): string {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function readSingle(
  headers: IncomingHttpHeaders,
  body: Uint8Array,
  context: SubmissionContext,
): Submission {
  const contentType = headers['content-type'];
  const mediaType = mediaTypeOf(headers);
  const single = (input: unknown) => ({
    batch: false,
    events: [toEncoded(readEvent(input, context))],
  });
  if (mediaType === STRUCTURED_TYPE) return single(parseJson(contentType, body));
  if (mediaType.startsWith('application/cloudevents')) {
    throw unsupported(`${mediaType} is a CloudEvents format that ingest does not support.`);
  }
  if (Object.keys(headers).some((name) => name.startsWith('ce-'))) {
    return single(readBinary(headers, contentType, body));
  }
  if (mediaType === 'application/json') {
    return single(completeEvent(parseJson(contentType, body), context));
  }
  throw unsupported(
    `Send ${STRUCTURED_TYPE}, ${BATCH_TYPE}, application/json, or ce- headers with any type.`,
  );
}

/**
 * Splits the text of a JSON array into those of its items.
 *
 * @throws TidemarkError for another text, and for more items than a batch may have
 */
export function splitItems(
  text: string,
  { batchEventsMax }: Pick<SubmissionContext, 'batchEventsMax'>,
): string[] {
  const items = orInvalidJson(() => splitArray(text, batchEventsMax));
  if (!items) {
    parseText(text, { depth: 1 });
    const faults = [{ path: '$', message: 'must be a JSON array' }];
    throw new TidemarkError('invalid_event', 'A batch must be a JSON array.', { faults });
  }
  requireCount(items.length, batchEventsMax);
  return items;
}

/** @throws TidemarkError `too_large` for more events than a batch may have */
export function requireCount(count: number, batchEventsMax: number): void {
  if (count <= batchEventsMax) return;
  throw new TidemarkError('too_large', `A batch may have at most ${batchEventsMax} events.`, {
    limit: 'batch_events',
  });
}

/**
 * Reads the texts of several events in steps of some milliseconds, until an answer could list no more faults.
 *
 * @param read is given a text and its path
 * @throws TidemarkError that names what is wrong with any of them
 */
export async function readAll(
  texts: readonly string[],
  context: Pick<SubmissionContext, 'runStep'>,
  read: (text: string, path: string) => CloudEvent,
): Promise<EncodedEvent[]> {
  const errors: TidemarkError[] = [];
  const events: EncodedEvent[] = [];
  let faults = 0;
  const isDone = (at: number) => at >= texts.length || faults >= FAULTS_MAX;
  for (let at = 0; !isDone(at); ) {
    await context.runStep(() => {
      const endMs = performance.now() + STEP_MS;
      do {
        try {
          events.push(encodeItem(read(texts[at] ?? '', `[${at}]`), `[${at}]`));
        } catch (error) {
          const refusal = asTidemarkError(error);
          if (refusal.code === 'invalid_json') throw refusal;
          errors.push(refusal);
          faults += refusal.details.faults?.length ?? 1;
        }
        at++;
      } while (!isDone(at) && performance.now() < endMs);
    });
  }
  if (errors.length > 0) throw combine(errors);
  return events;
}

/** Encoding checks limits too: no event of a batch is stored before all of them are valid. */
function encodeItem(event: CloudEvent, path: string): EncodedEvent {
  try {
    return toEncoded(event);
  } catch (error) {
    const { code, message, limit } = asTidemarkError(error);
    const faults = [{ path, message }];
    throw new TidemarkError(code, `${path}: ${message}`, { faults, ...(limit && { limit }) });
  }
}

/**
 * Checks an event, and gives it its publisher and its trace.
 *
 * @throws TidemarkError that names every fault
 */
export function readEvent(
  input: unknown,
  { publisher, context, nowMs }: Pick<SubmissionContext, 'publisher' | 'context' | 'nowMs'>,
  path = '',
): CloudEvent {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return parseEvent(input, path);
  }
  refuseManyAttributes(input, path);
  const event = parseEvent({ ...withContext({ ...input }, context), publisher }, path);
  requirePublishable(event, nowMs, path);
  return event;
}

/** The error of a batch: code and text of the first error, and the faults of all. */
function combine(errors: readonly TidemarkError[]): TidemarkError {
  const [first] = errors;
  if (first === undefined || errors.length === 1) return first as TidemarkError;
  const faults: Fault[] = errors.flatMap(({ details }) => details.faults ?? []);
  const number = faults.length < FAULTS_MAX ? errors.length : `At least ${errors.length}`;
  return new TidemarkError(first.code, `${first.message} ${number} events are wrong.`, {
    faults: faults.slice(0, FAULTS_MAX),
    ...(first.limit && { limit: first.limit }),
  });
}

function readBinary(
  headers: IncomingHttpHeaders,
  contentType: string | undefined,
  body: Uint8Array,
): unknown {
  const attributes = Object.entries(headers).flatMap(([name, value]): Header[] => {
    return typeof value === 'string' ? [[name, fromLatin1(value)]] : [];
  });
  return orInvalidJson(() => fromBinaryMode(attributes, contentType, body));
}

function parseJson(contentType: string | undefined, body: Uint8Array): unknown {
  return parseText(readText(contentType, body), { depth: 1 });
}

/**
 * The text of a JSON body.
 *
 * @throws TidemarkError for another charset than UTF-8, and for bytes that are not UTF-8
 */
export function readText(contentType: string | undefined, body: Uint8Array): string {
  if (!hasUtf8Charset(contentType ?? '')) {
    throw unsupported('JSON is read as UTF-8 only (RFC 8259 section 8.1).');
  }
  return orInvalidJson(() => decodeUtf8(body));
}

/**
 * Parses the text of an event, or of its data.
 *
 * @throws TidemarkError for what is no JSON, and for what no event may be
 */
export function parseText(text: string, { path, ...shape }: Omit<EventText, 'whole'>): unknown {
  refuseCostlyText(text, { ...shape, whole: true, ...(path && { path }) });
  return orInvalidJson(() => parseExact(text));
}

function orInvalidJson<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new TidemarkError('invalid_json', `The body cannot be read: ${cause.message}`, { cause });
  }
}

function unsupported(message: string): TidemarkError {
  return new TidemarkError('unsupported_media_type', message);
}
