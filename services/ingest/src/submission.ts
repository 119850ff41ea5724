import type { IncomingHttpHeaders } from 'node:http';
import {
  BATCH_TYPE,
  completeEvent,
  type EncodedEvent,
  fromBinaryMode,
  fromLatin1,
  type Header,
  STRUCTURED_TYPE,
  toEncoded,
} from '@tidemark/protocol';
import { readBatch } from './batch.ts';
import {
  openPlain,
  orInvalidJson,
  parseText,
  readEvent,
  readText,
  type SubmissionContext,
  unsupported,
} from './event-input.ts';

/** The events of one request, all of them checked. */
export interface Submission {
  /** Whether the request is a batch. The answer of a batch is an array. */
  readonly batch: boolean;
  readonly events: readonly EncodedEvent[];
}

/**
 * Reads a request in one of the content modes of the CloudEvents HTTP binding (section 3), or as a
 * bare JSON body, which is the one mode where missing attributes are filled in.
 *
 * @throws TidemarkError that names every fault found
 */
export async function readSubmission(
  headers: IncomingHttpHeaders,
  body: Buffer,
  context: SubmissionContext,
): Promise<Submission> {
  if (mediaTypeOf(headers) !== BATCH_TYPE) {
    return context.runStep(() => readSingle(headers, body, context));
  }
  return { batch: true, events: await readBatch(headers['content-type'], body, context) };
}

function mediaTypeOf({ 'content-type': contentType }: IncomingHttpHeaders): string {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function readSingle(
  headers: IncomingHttpHeaders,
  body: Buffer,
  context: SubmissionContext,
): Submission {
  const contentType = headers['content-type'];
  const mediaType = mediaTypeOf(headers);
  const single = (input: unknown) => ({
    batch: false,
    events: [toEncoded(readEvent(input, context))],
  });
  if (mediaType === STRUCTURED_TYPE) {
    const plain = readPlain(contentType, body, context);
    return plain ? { batch: false, events: [plain] } : single(parseJson(contentType, body));
  }
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

/** The event of a body that is stored as it came; `undefined` for any other body. */
function readPlain(
  contentType: string | undefined,
  body: Buffer,
  context: SubmissionContext,
): EncodedEvent | undefined {
  const plain = openPlain(contentType, body, context);
  const event = plain?.read(plain.blank(0));
  return event && plain?.blank(plain.end) === body.length ? event : undefined;
}

function parseJson(contentType: string | undefined, body: Uint8Array): unknown {
  return parseText(readText(contentType, body), { depth: 1 });
}
