import { type Principal, requireGrant, requirePermission } from '@tidemark/auth';
import { Steps } from '@tidemark/fairness';
import {
  type Confirm,
  type Endpoint,
  type ProgressLimits,
  type Request,
  type Response,
  readBody,
  spanOf,
} from '@tidemark/http';
import type { AppendedEvent } from '@tidemark/nats';
import {
  asTidemarkError,
  type CloudEvent,
  readTraceContext,
  TidemarkError,
  type TraceContext,
} from '@tidemark/protocol';
import { type Metrics, sampledContextOf, type Tracer } from '@tidemark/telemetry';
import type { Appends, ConditionalRequest } from './appends.ts';
import { readPreconditions } from './precondition.ts';
import { readBodyless } from './preferences.ts';
import { createPublisherLimits, type PublisherLimitOptions } from './publisher-limits.ts';
import { readSubmission, type Submission } from './submission.ts';
import { type WebhookOptions, webhookHandshake } from './webhook-handshake.ts';

/** Most events of one request that get spans of their own. */
const APPEND_SPANS_MAX = 100;

export interface EventsEndpointOptions
  extends PublisherLimitOptions,
    ProgressLimits,
    WebhookOptions {
  readonly appends: Appends;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  readonly batchEventsMax: number;
  readonly confirm: Confirm;
  readonly bodyBytesMax: number;
  readonly now?: () => number;
  readonly newId?: () => string;
}

/** `POST /v1/events`: checks all events, appends them, and answers with their cursors. */
export function eventsEndpoint(options: EventsEndpointOptions): Endpoint {
  const { appends, metrics, tracer } = options;
  const refused = metrics.counter('ingest_refused_total', 'Requests answered with an error.', [
    'code',
  ]);
  const { bodies, events, ...limits } = createPublisherLimits(options);
  const steps = new Steps({ nowMs: () => performance.now(), soon: setImmediate });
  const bytes = metrics.counter('ingest_body_bytes_total', 'Bytes of bodies, inflated.');

  async function accept(
    { request, response, principal }: Publish,
    take: (bytes: number) => void,
  ): Promise<void> {
    // Before the body, which somebody without any permission need not send.
    requireGrant(principal, 'publish');
    const body = await readBody(request, {
      bytesMax: options.bodyBytesMax,
      take,
      progress: options,
    });
    // The body may have arrived long after the token was checked.
    options.confirm(principal);
    bytes.inc(body.length);
    await limits.bytes.consume(principal.subject, body.length);
    const parent = spanOf(response);
    // Events of a request without a trace name the request's own trace as their origin, if it is sampled.
    const context = readTraceContext(request.headers) ?? sampledContextOf(parent);
    const flow = { user: principal.subject, connection: request.socket };
    const runStep = <T>(step: () => T) => steps.run(step, { flow });
    const { submission, preconditions } = await tracer.within(
      'validate',
      { parent },
      async (span) => {
        const checked = await check(request, body, { principal, context, runStep });
        span.setAttribute('tidemark.events', checked.submission.events.length);
        return checked;
      },
    );
    await events.consume(principal.subject, submission.events.length);
    const waiting = limits.appends.open(principal.subject);
    waiting.take(submission.events.length);
    const answers = await runStep(() =>
      append(appends, submission, { preconditions, context, parent }),
    ).finally(waiting.release);
    const [first] = answers;
    if (!submission.batch && first) response.set('ETag', `"${first.cursor}"`);
    const applied = readBodyless(request.headers);
    if (applied) response.set('Preference-Applied', applied).status(204).end();
    else response.status(201).json(submission.batch ? answers : first);
  }

  async function check(request: Request, body: Buffer, { principal, context, runStep }: Sender) {
    const { headers } = request;
    const submission = await readSubmission(headers, body, {
      publisher: principal.subject,
      nowMs: (options.now ?? Date.now)(),
      newId: options.newId ?? (() => crypto.randomUUID()),
      batchEventsMax: options.batchEventsMax,
      context,
      runStep,
    });
    const preconditions = readPreconditions(headers);
    if (submission.batch && preconditions !== undefined) {
      throw new TidemarkError(
        'invalid_query',
        'If-Match and If-None-Match do not apply to a batch.',
      );
    }
    for (const { topic } of submission.events) requirePermission(principal, 'publish', topic);
    return { submission, preconditions };
  }

  return {
    path: '/v1/events',
    answerOptions: webhookHandshake(options),
    methods: {
      POST: async (request, response, principal) => {
        const held = bodies.open(principal.subject);
        try {
          await accept({ request, response, principal }, held.take);
        } catch (error) {
          refused.inc({ code: asTidemarkError(error).code });
          throw error;
        } finally {
          held.release();
        }
      },
    },
  };
}

interface Publish {
  readonly request: Request;
  readonly response: Response;
  readonly principal: Principal;
}

interface Sender {
  readonly principal: Principal;
  readonly runStep: <T>(step: () => T) => Promise<T>;
  readonly context: TraceContext | undefined;
}

/**
 * Appends in order without waiting between events. When NATS fails during a batch, the answer is that
 * failure. Sending the whole batch again is safe, because the stream recognises the stored events.
 */
async function append(appends: Appends, submission: Submission, request: ConditionalRequest) {
  const outcomes = await Promise.allSettled(
    submission.events.map(async (event, index) => {
      const spanned = index < APPEND_SPANS_MAX;
      return toAnswer(event, await appends.append(event, { ...request, spanned }));
    }),
  );
  const errors = outcomes.map((one) => {
    return one.status === 'rejected' ? asTidemarkError(one.reason) : undefined;
  });
  // A conflict tells that all other events are stored, so a failure that may pass comes first.
  const failure = errors.find((error) => error && error.code !== 'conflict');
  if (failure) throw failure;
  const faults = errors.flatMap((error, index) => {
    return error ? [{ path: `[${index}]`, message: error.message }] : [];
  });
  const [first] = faults;
  if (first) {
    throw new TidemarkError('conflict', first.message, submission.batch ? { faults } : {});
  }
  return outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

function toAnswer({ id, source, topic }: CloudEvent, { cursor, duplicate }: AppendedEvent) {
  return { id, source, topic, cursor, duplicate };
}
