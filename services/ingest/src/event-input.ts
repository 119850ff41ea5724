import {
  type CloudEvent,
  decodeUtf8,
  type EventDefaults,
  type EventText,
  hasUtf8Charset,
  PlainEvents,
  parseEvent,
  parseExact,
  refuseCostlyText,
  refuseManyAttributes,
  requirePublishable,
  TidemarkError,
  type TraceContext,
  withContext,
} from '@tidemark/protocol';

/** What events are read with, besides their text. */
export interface SubmissionContext extends EventDefaults {
  readonly batchEventsMax: number;
  /** The request's trace context, which events without one get. */
  readonly context?: TraceContext | undefined;
  /** Does some milliseconds of work when it is the publisher's turn. */
  readonly runStep: <T>(step: () => T) => Promise<T>;
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

/**
 * Reads what of a JSON body is stored as it came.
 *
 * @returns `undefined` for a body that is certainly not UTF-8
 */
export function openPlain(
  contentType: string | undefined,
  body: Buffer,
  context: SubmissionContext,
): PlainEvents | undefined {
  return hasUtf8Charset(contentType ?? '') ? PlainEvents.of(body, context) : undefined;
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

/**
 * Reads JSON.
 *
 * @throws TidemarkError `invalid_json` in place of a SyntaxError
 */
export function orInvalidJson<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new TidemarkError('invalid_json', `The body cannot be read: ${cause.message}`, { cause });
  }
}

/** The error of a body in another format or charset. */
export function unsupported(message: string): TidemarkError {
  return new TidemarkError('unsupported_media_type', message);
}
