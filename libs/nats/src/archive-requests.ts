import { hash } from 'node:crypto';
import { headers, type Msg, type MsgHdrs } from '@nats-io/transport-node';
import type { Flow } from '@tidemark/fairness';
import { TidemarkError } from '@tidemark/protocol';

/*
 * Who a request to an archive is made for, and how long its answer is awaited. Both are headers, so that the
 * archive knows them before it parses the body, which may have a thousand patterns: that is a part of the user's
 * work too. Gateways of an earlier version send neither.
 */

const USER_HEADER = 'Tidemark-User';
const WAIT_HEADER = 'Tidemark-Wait-Ms';

const NAME_LENGTH = 22;
const NAME = new RegExp(`^[\\w-]{${NAME_LENGTH}}$`);

/** How long a request is kept that does not say it: gateways wait for 5 s, where nothing else is configured. */
const WAIT_DEFAULT_MS = 4000;
const WAIT_MAX_MS = 60_000;

/** The part of its time-out that a request may wait in. The archive then says so before it passes for lost. */
const WAIT_PART = 0.8;

/** Whom an archive works for. */
export interface ArchiveAsker {
  readonly flow: Flow;
  /** How long the answer is of use, in ms since the request arrived. */
  readonly waitMs: number;
}

/**
 * A user's name at the archives: 128 bits of a hash of the token's `sub`, in base64url. Replay serves its own
 * requests under the same names, so a user has one share of its time, however the user asks.
 */
export function userName(subject: string): string {
  return hash('sha256', subject, 'base64url').slice(0, NAME_LENGTH);
}

/**
 * The headers of a request.
 *
 * @param user the token's `sub`; `undefined` where the request is made for nobody in particular
 * @param timeoutMs how long the answer is waited for
 */
export function askerHeaders(user: string | undefined, timeoutMs: number): MsgHdrs {
  const named = headers();
  if (user !== undefined) named.set(USER_HEADER, userName(user));
  named.set(WAIT_HEADER, String(Math.floor(WAIT_PART * timeoutMs)));
  return named;
}

/** Whom a request is made for. Those of a process that names nobody share one flow. */
export function askerOf(request: Pick<Msg, 'headers' | 'reply'>): ArchiveAsker {
  const user = request.headers?.get(USER_HEADER) ?? '';
  const waitMs = Number.parseInt(request.headers?.get(WAIT_HEADER) ?? '', 10);
  return {
    flow: {
      user: NAME.test(user) ? user : processOf(request.reply),
      connection: request,
    },
    waitMs: waitMs > 0 ? Math.min(waitMs, WAIT_MAX_MS) : WAIT_DEFAULT_MS,
  };
}

/** Whether an archive has refused a request because too many wait. It may answer a little later. */
export function isBusy(error: unknown): boolean {
  if (!(error instanceof TidemarkError)) return false;
  return error.code === 'limit_exceeded' || isBusy(error.cause);
}

/** Answers go to one inbox of each process, with a last token for each request. */
function processOf(reply = ''): string {
  return reply.slice(0, Math.max(reply.lastIndexOf('.'), 0));
}
