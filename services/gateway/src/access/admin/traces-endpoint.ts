import type { Endpoint, Limits } from '@tidemark/http';
import { TidemarkError } from '@tidemark/protocol';
import { tracesDescription } from '../descriptions.ts';
import { type JaegerOptions, readTrace } from './jaeger.ts';
import { readParameters } from './parameters.ts';
import { serveQuestions } from './questions.ts';

/** Traces that a gateway reads at one time. */
const READS_MAX = 4;

const TRACE_ID = /^[0-9a-f]{32}$/;

/** Where Jaeger is, and what bounds the requests to it. */
export interface TracesOptions {
  readonly jaeger: JaegerOptions;
  readonly limits: Pick<Limits, 'semaphore'>;
}

/** `GET /v1/admin/traces/{traceId}` (PROTOCOL.md section 13.8). */
export function tracesEndpoint({ jaeger, limits }: TracesOptions): Endpoint {
  const places = limits.semaphore('trace_reads', { max: READS_MAX, of: 'reads of traces' });
  return {
    path: '/v1/admin/traces/:traceId',
    methods: {
      GET: {
        ...tracesDescription,
        serve: serveQuestions(places, async ({ url, params }) => {
          readParameters(url, []);
          const traceId = String(params.traceId);
          if (!TRACE_ID.test(traceId)) {
            throw new TidemarkError('invalid_query', 'A trace id has 32 digits from 0 to f.');
          }
          return readTrace(jaeger, traceId);
        }),
      },
    },
  };
}
