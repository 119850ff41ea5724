import { z } from 'zod';
import { parseStart, type Start } from './cursors.ts';
import { type ErrorBody, TidemarkError } from './errors.ts';
import { parsePatterns } from './topics.ts';

/** The WebSocket subprotocol (PROTOCOL.md section 6). */
export const SUBPROTOCOL = 'tidemark.v1';

/** The subprotocol entry that carries a token, for browsers: `bearer.<token>`. */
export const BEARER_SUBPROTOCOL = 'bearer.';

export const SUBSCRIPTION_ID_LENGTH_MAX = 64;

/** While a subscription is behind: every event, or of each topic only the newest. */
export const DELIVER = ['all', 'latest'] as const;
export type Deliver = (typeof DELIVER)[number];

export type ClientMessage =
  | {
      readonly type: 'subscribe';
      readonly id: string;
      readonly patterns: readonly string[];
      readonly start: Start;
      readonly deliver: Deliver;
      /** The connection's deliveries are to be seen in traces. */
      readonly trace: boolean;
    }
  | { readonly type: 'unsubscribe'; readonly id: string }
  | { readonly type: 'publish'; readonly id: string; readonly event: unknown }
  | { readonly type: 'authenticate'; readonly token: string }
  | { readonly type: 'ping' };

/** Why part of the log is not there any more (PROTOCOL.md section 5). */
export type GapReason =
  /** Retention removed it from the stream, and the archive does not have it. */
  | 'expired'
  /** The stream is another one than the cursor was taken from. */
  | 'epoch'
  /** The cursor lies beyond the end of the log: the log lost its end in a crash. */
  | 'future';

export type ServerMessage =
  | {
      readonly type: 'welcome';
      readonly connection: string;
      readonly heartbeatMs: number;
      readonly limits: Readonly<Record<string, number>>;
    }
  | { readonly type: 'subscribed'; readonly id: string; readonly cursor: string }
  | { readonly type: 'unsubscribed'; readonly id: string }
  | { readonly type: 'live'; readonly id: string; readonly cursor: string }
  | {
      readonly type: 'gap';
      readonly id: string;
      readonly from: string;
      readonly to: string;
      readonly reason: GapReason;
    }
  | {
      readonly type: 'skipped';
      readonly id: string;
      readonly count: number;
      readonly cursor: string;
    }
  | { readonly type: 'heartbeat'; readonly cursor?: string }
  | { readonly type: 'authenticated' }
  | { readonly type: 'pong' }
  | {
      readonly type: 'published';
      readonly id: string;
      readonly cursor: string;
      readonly duplicate: boolean;
    }
  | ({ readonly type: 'error'; readonly id?: string } & ErrorBody);

const id = z.string().min(1).max(SUBSCRIPTION_ID_LENGTH_MAX);

const shapes = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('subscribe'),
    id,
    topics: z.array(z.string()),
    after: z.string().optional(),
    deliver: z.enum(DELIVER).optional(),
    trace: z.boolean().optional(),
  }),
  z.strictObject({ type: z.literal('unsubscribe'), id }),
  z.strictObject({ type: z.literal('publish'), id, event: z.unknown() }),
  z.strictObject({ type: z.literal('authenticate'), token: z.string().min(1) }),
  z.strictObject({ type: z.literal('ping') }),
]);

/** An error that answers one message: `id` is the message's, where it could be read. */
export interface RejectedMessage {
  readonly id?: string;
  readonly error: TidemarkError;
}

/** Reads one text message of a client; nothing is thrown, since a connection outlives bad input. */
export function parseClientMessage(text: string): ClientMessage | RejectedMessage {
  let input: unknown;
  try {
    input = JSON.parse(text);
  } catch (cause) {
    return { error: new TidemarkError('invalid_json', 'The message is not JSON.', { cause }) };
  }
  try {
    return toMessage(input);
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
    const named = id.safeParse((input as { id?: unknown } | null)?.id);
    return named.success ? { id: named.data, error } : { error };
  }
}

function toMessage(input: unknown): ClientMessage {
  const parsed = shapes.safeParse(input);
  if (!parsed.success) throw invalid(parsed.error);
  const message = parsed.data;
  if (message.type !== 'subscribe') return message;
  return {
    type: 'subscribe',
    id: message.id,
    patterns: parsePatterns(message.topics),
    start: parseStart(message.after),
    deliver: message.deliver ?? 'all',
    trace: message.trace ?? false,
  };
}

function invalid(error: z.ZodError): TidemarkError {
  const faults = error.issues.map(({ path, message }) => ({
    path: path.join('.') || '$',
    message,
  }));
  const [first] = faults;
  return new TidemarkError('invalid_message', `${first?.path}: ${first?.message}`, { faults });
}
