import type { IncomingHttpHeaders } from 'node:http';
import { type Principal, requirePermission } from '@tidemark/auth';
import { type Endpoint, type Request, type Response, readBody } from '@tidemark/http';
import { asTidemarkError, type CloudEvent, TidemarkError } from '@tidemark/protocol';
import type { Metrics } from '@tidemark/telemetry';
import type { EventLog, Stored } from './event-log.ts';
import { readPrecondition } from './precondition.ts';
import { readSubmission, type Submission } from './submission.ts';
import { readTraceparent } from './trace-context.ts';

export interface EventsEndpointOptions {
  readonly events: EventLog;
  readonly metrics: Metrics;
  readonly bodyBytesMax: number;
  readonly batchEventsMax: number;
  readonly now?: () => number;
  readonly newId?: () => string;
}

/** `POST /v1/events` (PROTOCOL.md section 8): check everything, then append, then answer. */
export function eventsEndpoint(options: EventsEndpointOptions): Endpoint {
  const { events, metrics } = options;
  const refused = metrics.counter('ingest_refused_total', 'Requests answered with an error.', [
    'code',
  ]);
  const bytes = metrics.counter('ingest_body_bytes_total', 'Bytes of bodies, inflated.');

  async function accept(request: Request, response: Response, principal: Principal) {
    const body = await readBody(request, options.bodyBytesMax);
    bytes.inc(body.length);
    const submission = readSubmission(request.headers, body, {
      publisher: principal.subject,
      nowMs: (options.now ?? Date.now)(),
      newId: options.newId ?? (() => crypto.randomUUID()),
      batchEventsMax: options.batchEventsMax,
      traceparent: readTraceparent(request.headers),
    });
    for (const { topic } of submission.events) requirePermission(principal, 'publish', topic);
    const answers = await append(events, submission, request.headers);
    response.status(201);
    const [first] = answers;
    if (!submission.batch && first) response.set('ETag', `"${first.cursor}"`);
    response.json(submission.batch ? answers : first);
  }

  return {
    path: '/v1/events',
    methods: {
      POST: async (request, response, principal) => {
        try {
          await accept(request, response, principal);
        } catch (error) {
          refused.inc({ code: asTidemarkError(error).code });
          throw error;
        }
      },
    },
  };
}

/**
 * Appends in order without waiting between events. When NATS fails half way through a batch, the
 * answer is the first failure: sending the whole batch again is safe, since `source` and `id` tell
 * which of it are stored already.
 */
async function append(
  events: EventLog,
  { batch, events: submitted }: Submission,
  headers: IncomingHttpHeaders,
) {
  const precondition = readPrecondition(headers);
  if (batch && precondition !== undefined) {
    throw new TidemarkError('invalid_query', 'A batch takes neither If-Match nor If-None-Match.');
  }
  const traceparent = readTraceparent(headers);
  const outcomes = await Promise.allSettled(
    submitted.map((event) => events.append(event, { precondition, traceparent })),
  );
  return outcomes.map((outcome, index) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return toAnswer(submitted[index] as CloudEvent, outcome.value);
  });
}

function toAnswer({ id, source, topic }: CloudEvent, { cursor, duplicate }: Stored) {
  return { id, source, topic, cursor, duplicate };
}
