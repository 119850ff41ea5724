import { type Principal, requirePermission } from '@tidemark/auth';
import {
  type Confirm,
  type Endpoint,
  type Request,
  type Response,
  readBody,
  spanOf,
} from '@tidemark/http';
import type { AppendedEvent, AppendRequest } from '@tidemark/nats';
import {
  asTidemarkError,
  type CloudEvent,
  readTraceContext,
  TidemarkError,
  type TraceContext,
} from '@tidemark/protocol';
import { type Metrics, sampledContextOf, type Tracer } from '@tidemark/telemetry';
import type { Appends } from './appends.ts';
import { BodyBudget, type BodyBudgetOptions } from './body-budget.ts';
import { readPrecondition } from './precondition.ts';
import { readSubmission, type Submission } from './submission.ts';

/** Events of one request that get a span of their own; the rest of a batch goes without. */
const APPEND_SPANS_MAX = 100;

export interface EventsEndpointOptions extends BodyBudgetOptions {
  readonly appends: Appends;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  readonly batchEventsMax: number;
  readonly confirm: Confirm;
  /** Of one user. */
  readonly publishesPerSecondMax: number;
  readonly now?: () => number;
  readonly newId?: () => string;
}

/** `POST /v1/events`: check everything, then append, then answer. */
export function eventsEndpoint(options: EventsEndpointOptions): Endpoint {
  const { appends, metrics, tracer } = options;
  const refused = metrics.counter('ingest_refused_total', 'Requests answered with an error.', [
    'code',
  ]);
  const publishes = options.limits.rate('publishes_per_second', {
    max: options.publishesPerSecondMax,
    of: 'events of one user',
  });
  const budget = new BodyBudget(options);
  const bytes = metrics.counter('ingest_body_bytes_total', 'Bytes of bodies, inflated.');

  async function accept(request: Request, response: Response, principal: Principal) {
    const body = await readBody(request, options.bodyBytesMax);
    // It may have come long after the token was checked.
    options.confirm(principal);
    bytes.inc(body.length);
    const parent = spanOf(response);
    // Where a trace begins here, its events name it as their origin, if anybody is to see it.
    const context = readTraceContext(request.headers) ?? sampledContextOf(parent);
    const { submission, precondition } = await tracer.within('validate', { parent }, (span) => {
      const checked = check(request, body, { principal, context });
      span.setAttribute('tidemark.events', checked.submission.events.length);
      return checked;
    });
    await publishes.consume(principal.subject, submission.events.length);
    const answers = await append(appends, submission, { precondition, context, parent });
    response.status(201);
    const [first] = answers;
    if (!submission.batch && first) response.set('ETag', `"${first.cursor}"`);
    response.json(submission.batch ? answers : first);
  }

  function check(request: Request, body: Buffer, { principal, context }: Sender) {
    const { headers } = request;
    const submission = readSubmission(headers, body, {
      publisher: principal.subject,
      nowMs: (options.now ?? Date.now)(),
      newId: options.newId ?? (() => crypto.randomUUID()),
      batchEventsMax: options.batchEventsMax,
      context,
    });
    const precondition = readPrecondition(headers);
    if (submission.batch && precondition !== undefined) {
      throw new TidemarkError('invalid_query', 'A batch takes no If-Match and no If-None-Match.');
    }
    for (const { topic } of submission.events) requirePermission(principal, 'publish', topic);
    return { submission, precondition };
  }

  return {
    path: '/v1/events',
    methods: {
      POST: async (request, response, principal) => {
        let release = (): void => {};
        try {
          release = budget.acquire(request, principal.subject);
          await accept(request, response, principal);
        } catch (error) {
          refused.inc({ code: asTidemarkError(error).code });
          throw error;
        } finally {
          release();
        }
      },
    },
  };
}

interface Sender {
  readonly principal: Principal;
  readonly context: TraceContext | undefined;
}

/**
 * Appends in order without waiting between events. When NATS fails half way through a batch, the
 * answer is the first failure: sending the whole batch again is safe, since `source` and `id` tell
 * which of it are stored already.
 */
async function append(appends: Appends, submission: Submission, request: AppendRequest) {
  const outcomes = await Promise.allSettled(
    submission.events.map(async (event, index) => {
      const spanned = index < APPEND_SPANS_MAX;
      return toAnswer(event, await appends.append(event, { ...request, spanned }));
    }),
  );
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}

function toAnswer({ id, source, topic }: CloudEvent, { cursor, duplicate }: AppendedEvent) {
  return { id, source, topic, cursor, duplicate };
}
