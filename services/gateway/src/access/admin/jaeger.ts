import { type AdminTrace, TidemarkError } from '@tidemark/protocol';
import { z } from 'zod';

/** How long Jaeger may take, and most bytes of its answer. */
const JAEGER_MS = 5000;
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;

/** Most spans that are answered: the earliest ones. */
const SPANS_MAX = 500;

const tagShape = z.object({ key: z.string(), value: z.unknown() });

const answerShape = z.object({
  data: z
    .array(
      z.object({
        spans: z.array(
          z.object({
            spanID: z.string(),
            operationName: z.string(),
            processID: z.string(),
            /** Microseconds since 1970. */
            startTime: z.number(),
            /** Microseconds. */
            duration: z.number().min(0),
            references: z.array(z.object({ refType: z.string(), spanID: z.string() })).default([]),
            tags: z.array(tagShape).default([]),
          }),
        ),
        processes: z.record(z.string(), z.object({ serviceName: z.string() })),
      }),
    )
    .nullish(),
});

type JaegerTrace = NonNullable<z.infer<typeof answerShape>['data']>[number];
type JaegerSpan = JaegerTrace['spans'][number];
type Span = AdminTrace['spans'][number];

/** Where Jaeger is. */
export interface JaegerOptions {
  /** Of its query API; empty: there is none. */
  readonly jaegerUrl: string;
  /** What a person's URL of a trace has before its id; empty: there is none. */
  readonly jaegerPage: string;
}

/**
 * Reads a trace from Jaeger.
 *
 * @param traceId 32 hexadecimal digits
 * @throws TidemarkError `not_found`; `unavailable` where Jaeger does not answer in 5 s; `too_large` above 8 MiB
 */
export async function readTrace(
  { jaegerUrl, jaegerPage }: JaegerOptions,
  traceId: string,
): Promise<AdminTrace> {
  if (jaegerUrl === '') {
    throw new TidemarkError('not_found', 'No Jaeger is configured (TIDEMARK_GATEWAY_JAEGER_URL).');
  }
  const text = await fetchText(`${withoutSlash(jaegerUrl)}/api/traces/${traceId}`);
  const traces = parseAnswer(text).data ?? [];
  const spans = traces.flatMap(toSpans).sort((left, right) => left.startMs - right.startMs);
  if (spans.length === 0) throw unknownTrace();
  const leftOut = spans.length - SPANS_MAX;
  return {
    traceId,
    url: jaegerPage === '' ? null : `${withoutSlash(jaegerPage)}/${traceId}`,
    spans: spans.slice(0, SPANS_MAX),
    ...(leftOut > 0 && { spansLeftOut: leftOut }),
  };
}

/** @throws TidemarkError */
async function fetchText(url: string): Promise<string> {
  try {
    const signal = AbortSignal.timeout(JAEGER_MS);
    const response = await fetch(url, { signal, redirect: 'error' });
    if (response.status === 404) throw unknownTrace();
    if (!response.ok) throw new Error(`Jaeger answers with ${response.status}.`);
    return await readBounded(response);
  } catch (cause) {
    if (cause instanceof TidemarkError) throw cause;
    throw new TidemarkError('unavailable', 'Jaeger does not answer.', { cause });
  }
}

async function readBounded({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) {
      throw new TidemarkError('too_large', `The trace has more than ${ANSWER_BYTES_MAX} bytes.`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** @throws TidemarkError `unavailable` for what is no answer of a Jaeger */
function parseAnswer(text: string): z.infer<typeof answerShape> {
  try {
    return answerShape.parse(JSON.parse(text));
  } catch (cause) {
    throw new TidemarkError('unavailable', 'What answers is no Jaeger.', { cause });
  }
}

function toSpans({ spans, processes }: JaegerTrace): Span[] {
  return spans.map((span) => {
    const attributes = attributesOf(span);
    const parent = span.references.find(({ refType }) => refType === 'CHILD_OF');
    return {
      id: span.spanID,
      parent: parent?.spanID ?? null,
      service: processes[span.processID]?.serviceName ?? '',
      name: span.operationName,
      startMs: span.startTime / 1000,
      durationMs: span.duration / 1000,
      attributes,
      error: attributes.error === true || attributes['otel.status_code'] === 'ERROR',
    };
  });
}

function attributesOf({ tags }: JaegerSpan): Span['attributes'] {
  return Object.fromEntries(
    tags.map(({ key, value }) => {
      const isPlain = ['string', 'number', 'boolean'].includes(typeof value);
      return [key, isPlain ? (value as string | number | boolean) : JSON.stringify(value ?? null)];
    }),
  );
}

function unknownTrace(): TidemarkError {
  return new TidemarkError('not_found', 'Jaeger has no such trace.');
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '');
}
