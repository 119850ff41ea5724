import { type Principal, requireGrant, requirePermission } from '@tidemark/auth';
import {
  answerJson,
  type Confirm,
  type Endpoint,
  type ProgressOptions,
  type Request,
  type Response,
  readBody,
} from '@tidemark/http';
import { asTidemarkError, highestCursor, POSITION_HEADER, TidemarkError } from '@tidemark/protocol';
import { type DescribedLimits, describePublish, handshakeDescription } from './descriptions.ts';
import type { SubmissionContext } from './event-input.ts';
import { readPreconditions } from './precondition.ts';
import { isOrdered, ORDERED, readBodyless } from './preferences.ts';
import type { Checked, Publishing } from './publishing.ts';
import { readSubmission } from './submission.ts';
import { type WebhookOptions, webhookHandshake } from './webhook-handshake.ts';

export interface EventsEndpointOptions extends ProgressOptions, WebhookOptions, DescribedLimits {
  readonly publishing: Publishing;
  readonly confirm: Confirm;
}

/** `POST /v1/events`: checks all events, appends them, and answers with their cursors. */
export function eventsEndpoint(options: EventsEndpointOptions): Endpoint {
  const { publishing } = options;

  async function accept(
    { request, response, principal }: Sent,
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
    const { submission, published } = await publishing
      .publish({ request, response, user: principal.subject }, body, (context) =>
        check(request, body, { principal, context }),
      )
      .catch((error) => {
        tellPosition(response, asTidemarkError(error).details.cursor);
        throw error;
      });
    const [first] = published;
    tellPosition(response, highestCursor(published.map(({ cursor }) => cursor)));
    if (!submission.batch && first) response.setHeader('ETag', `"${first.cursor}"`);
    const bodyless = readBodyless(request.headers);
    const applied = [
      ...(isOrdered(request.headers) ? [ORDERED] : []),
      ...(bodyless ? [bodyless] : []),
    ];
    if (applied.length > 0) response.set('Preference-Applied', applied.join(', '));
    if (bodyless) response.status(204).end();
    else answerJson(response, 201, JSON.stringify(submission.batch ? published : first));
  }

  return {
    path: '/v1/events',
    options: { ...handshakeDescription, answer: webhookHandshake(options) },
    methods: {
      POST: {
        ...describePublish(options),
        serve: async (request, response, principal) => {
          const held = publishing.openBody(principal.subject);
          const sent = { request, response, principal };
          await publishing.counted(() => accept(sent, held.take)).finally(held.release);
        },
      },
    },
  };
}

/** Names how far the log is at least, in answers of every form. */
function tellPosition(response: Response, cursor: string | null | undefined): void {
  if (cursor) response.setHeader(POSITION_HEADER, cursor);
}

interface Sent {
  readonly request: Request;
  readonly response: Response;
  readonly principal: Principal;
}

interface Sender {
  readonly principal: Principal;
  readonly context: SubmissionContext;
}

async function check(
  { headers }: Request,
  body: Buffer,
  { principal, context }: Sender,
): Promise<Checked> {
  const submission = await readSubmission(headers, body, context);
  const preconditions = readPreconditions(headers);
  if (submission.batch && preconditions !== undefined) {
    throw new TidemarkError('invalid_query', 'If-Match and If-None-Match do not apply to a batch.');
  }
  // Most events of a batch have topics that others have too.
  for (const topic of new Set(submission.events.map(({ topic }) => topic))) {
    requirePermission(principal, 'publish', topic);
  }
  return { submission, preconditions, ordered: isOrdered(headers) };
}
