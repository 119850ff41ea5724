import type { IncomingHttpHeaders } from 'node:http';
import {
  asTidemarkError,
  BATCH_TYPE,
  type CloudEvent,
  completeEvent,
  decodeUtf8,
  type EventDefaults,
  encodeEvent,
  type Fault,
  fromBinaryMode,
  parseEvent,
  STRUCTURED_TYPE,
  TidemarkError,
  type TraceContext,
  withContext,
} from '@tidemark/protocol';

/** Most faults that an answer about a batch lists. */
export const FAULTS_MAX = 100;

/** The events of one request, all of them checked. */
export interface Submission {
  /** Whether the request is a batch. The answer of a batch is an array. */
  readonly batch: boolean;
  readonly events: readonly CloudEvent[];
}

export interface SubmissionContext extends EventDefaults {
  readonly batchEventsMax: number;
  /** The request's trace context, which events without one get. */
  readonly context?: TraceContext | undefined;
}

/**
 * Reads a request in one of the content modes of the CloudEvents HTTP binding (section 3), or as a
 * bare JSON body, which is the one mode where missing attributes are filled in.
 *
 * @throws TidemarkError that names every fault found
 */
export function readSubmission(
  headers: IncomingHttpHeaders,
  body: Uint8Array,
  context: SubmissionContext,
): Submission {
  const contentType = headers['content-type'];
  const mediaType = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (mediaType === BATCH_TYPE) {
    return { batch: true, events: readBatch(parseJson(contentType, body), context) };
  }
  const single = (input: unknown) => ({ batch: false, events: [readEvent(input, context)] });
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

function readBatch(input: unknown, context: SubmissionContext): CloudEvent[] {
  if (!Array.isArray(input)) {
    const faults = [{ path: '$', message: 'must be a JSON array' }];
    throw new TidemarkError('invalid_event', 'A batch must be a JSON array.', { faults });
  }
  const { batchEventsMax } = context;
  if (input.length > batchEventsMax) {
    throw new TidemarkError(
      'too_large',
      `The batch has ${input.length} events; at most ${batchEventsMax} are allowed.`,
      { limit: 'batch_events' },
    );
  }
  const errors: TidemarkError[] = [];
  const events = input.flatMap((item, index) => {
    try {
      return readItem(item, `[${index}]`, context);
    } catch (error) {
      errors.push(asTidemarkError(error));
      return [];
    }
  });
  if (errors.length > 0) throw combine(errors);
  return events;
}

function readItem(item: unknown, path: string, context: SubmissionContext): CloudEvent {
  const event = readEvent(item, context, path);
  try {
    // Only to check its limits: no event of a batch is stored before all of them are valid.
    encodeEvent(event);
    return event;
  } catch (error) {
    const { code, message, limit } = asTidemarkError(error);
    const faults = [{ path, message }];
    throw new TidemarkError(code, `${path}: ${message}`, { faults, ...(limit && { limit }) });
  }
}

function readEvent(
  input: unknown,
  { publisher, context }: SubmissionContext,
  path = '',
): CloudEvent {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return parseEvent(input, path);
  }
  return parseEvent({ ...withContext({ ...input }, context), publisher }, path);
}

/** The error of a batch: code and text of the first error, and the faults of all. */
function combine(errors: readonly TidemarkError[]): TidemarkError {
  const [first] = errors;
  if (first === undefined || errors.length === 1) return first as TidemarkError;
  const faults: Fault[] = errors.flatMap(({ details }) => details.faults ?? []);
  return new TidemarkError(first.code, `${first.message} ${errors.length} events are wrong.`, {
    faults: faults.slice(0, FAULTS_MAX),
    ...(first.limit && { limit: first.limit }),
  });
}

function readBinary(
  headers: IncomingHttpHeaders,
  contentType: string | undefined,
  body: Uint8Array,
): unknown {
  const single = Object.entries(headers).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return orInvalidJson(() => fromBinaryMode(single, contentType, body));
}

function parseJson(contentType: string | undefined, body: Uint8Array): unknown {
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(contentType ?? '')?.[1];
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw unsupported('JSON is read as UTF-8 only (RFC 8259 section 8.1).');
  }
  return orInvalidJson(() => JSON.parse(decodeUtf8(body)));
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
