import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Principal, requireGrant, requirePermission } from '@tidemark/auth';
import {
  answerEmpty,
  answerJson,
  type Confirm,
  type Endpoint,
  type ProgressOptions,
  readBody,
} from '@tidemark/http';
import { asTidemarkError, highestCursor, POSITION_HEADER, TidemarkError } from '@tidemark/protocol';
import {
  type DescribedLimits,
  describePublish,
  handshakeDescription,
  type PublishedEvent,
} from './descriptions.ts';
import type { SubmissionContext } from './event-input.ts';
import { readPreconditions } from './precondition.ts';
import { isOrdered, ORDERED, readBodyless } from './preferences.ts';
import type { Checked, Publishing } from './publishing.ts';
import { readSubmission, type Submission } from './submission.ts';
import { type WebhookOptions, webhookHandshake } from './webhook-handshake.ts';

export interface EventsEndpointOptions extends ProgressOptions, WebhookOptions, DescribedLimits {
  readonly publishing: Publishing;
  readonly confirm: Confirm;
}

/** `POST /v1/events`: checks all events, appends them, and answers with their cursors. */
export function eventsEndpoint(options: EventsEndpointOptions): Endpoint {
  const { publishing } = options;

  /** @throws TidemarkError for the whole request; the answer then has the position that the error names */
  async function accept(sent: Sent, take: (bytes: number) => void): Promise<void> {
    const { request, response, principal } = sent;
    // Before the body, which somebody without any permission need not send.
    requireGrant(principal, 'publish');
    const body = await readBody(request, {
      bytesMax: options.bodyBytesMax,
      take,
      progress: options,
    });
    // The body may have arrived long after the token was checked.
    options.confirm(principal);
    const publish = { request, response, user: principal.subject };
    const { submission, published } = await publishing.publish(publish, body, (context) =>
      check(request, body, { principal, context }),
    );
    answer(sent, submission, published);
  }

  return {
    path: '/v1/events',
    options: { ...handshakeDescription, answer: webhookHandshake(options) },
    methods: {
      POST: {
        ...describePublish(options),
        bare: true,
        serve: async (request, response, principal) => {
          const held = publishing.openBody(principal.subject);
          try {
            await accept({ request, response, principal }, held.take);
          } catch (error) {
            publishing.countRefused(error);
            const { cursor } = asTidemarkError(error).details;
            if (cursor) response.setHeader(POSITION_HEADER, cursor);
            throw error;
          } finally {
            held.release();
          }
        },
      },
    },
  };
}

/** Answers in the form that the publisher asked for. Every form names how far the log is at least. */
function answer(
  { request, response }: Sent,
  { batch }: Submission,
  published: readonly PublishedEvent[],
): void {
  const headers: string[] = [];
  const [first] = published;
  const position = batch ? highestCursor(published.map(({ cursor }) => cursor)) : first?.cursor;
  if (position) headers.push(POSITION_HEADER, position);
  if (!batch && first) headers.push('ETag', `"${first.cursor}"`);
  const bodyless = readBodyless(request.headers);
  const applied = isOrdered(request.headers) ? [ORDERED] : [];
  if (bodyless) applied.push(bodyless);
  if (applied.length > 0) headers.push('Preference-Applied', applied.join(', '));
  if (bodyless) answerEmpty(response, 204, headers);
  else answerJson(response, 201, JSON.stringify(batch ? published : first), headers);
}

interface Sent {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly principal: Principal;
}

interface Sender {
  readonly principal: Principal;
  readonly context: SubmissionContext;
}

function check(
  { headers }: IncomingMessage,
  body: Buffer,
  { principal, context }: Sender,
): Promise<Checked> {
  return readSubmission(headers, body, context).then((submission) => {
    const preconditions = readPreconditions(headers);
    if (submission.batch && preconditions !== undefined) {
      const message = 'If-Match and If-None-Match do not apply to a batch.';
      throw new TidemarkError('invalid_query', message);
    }
    requirePermissions(principal, submission.events);
    return { submission, preconditions, ordered: isOrdered(headers) };
  });
}

function requirePermissions(principal: Principal, events: Submission['events']): void {
  // Most events of a batch have topics that others have too.
  for (const topic of new Set(events.map(({ topic }) => topic))) {
    requirePermission(principal, 'publish', topic);
  }
}
