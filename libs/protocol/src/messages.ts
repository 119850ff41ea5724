import { z } from 'zod';
import { parseCursor, parseStart, type Start } from './cursors.ts';
import { TidemarkError } from './errors.ts';
import { parseExact } from './exact-json.ts';
import { refuseCostlyMessage } from './json-text.ts';
import { CURSOR_JSON, PATTERNS_JSON, START_JSON, TYPES_JSON, withJson } from './schemas.ts';
import { textList } from './text-list.ts';
import { parsePatterns } from './topics.ts';
import { typeList } from './type-filter.ts';

/** The WebSocket subprotocol (PROTOCOL.md section 6). */
export const SUBPROTOCOL = 'tidemark.v1';

/** The subprotocol entry that carries a token, for browsers: `bearer.<token>`. */
export const BEARER_SUBPROTOCOL = 'bearer.';

/** Longest `id` of a message, in UTF-16 units. */
export const SUBSCRIPTION_ID_LENGTH_MAX = 64;

/** What a subscription may receive while it is behind: all events, or each topic's newest. */
export const DELIVER = ['all', 'latest'] as const;
/** What a subscription receives while it is behind: one of `DELIVER`. */
export type Deliver = (typeof DELIVER)[number];

/** What a client asks of a subscription, checked. */
export interface SubscriptionRequest {
  readonly patterns: readonly string[];
  /** Types of the events, each exact or with `*` at its end; of all types if absent. */
  readonly types?: readonly string[];
  readonly start: Start;
  readonly deliver: Deliver;
  /** Whether the connection's deliveries appear in traces. */
  readonly trace: boolean;
}

/** A message of a WebSocket client, checked (PROTOCOL.md section 6). */
export type ClientMessage =
  | ({ readonly type: 'subscribe'; readonly id: string } & SubscriptionRequest)
  | { readonly type: 'unsubscribe'; readonly id: string }
  | { readonly type: 'publish'; readonly id: string; readonly event: unknown }
  | { readonly type: 'authenticate'; readonly token: string }
  | { readonly type: 'ping' };

/** Control, format and private characters, and those that separate lines or are half a character. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u;

const id = z
  .string()
  .min(1)
  .max(SUBSCRIPTION_ID_LENGTH_MAX)
  .refine((text) => !UNPRINTABLE.test(text), 'must have printable characters only');

/** What a subscription is asked for with: in the body of an SSE request, and in a `subscribe` message. */
export const subscriptionShape = z.strictObject({
  topics: withJson(textList(), PATTERNS_JSON),
  types: withJson(typeList, TYPES_JSON).optional(),
  after: withJson(z.string().nullish(), { anyOf: [START_JSON, { type: 'null' }] }),
  atLeast: withJson(z.string().optional(), CURSOR_JSON),
  deliver: z.enum(DELIVER).optional(),
  trace: z.boolean().optional(),
});

/** The messages of a WebSocket client (PROTOCOL.md section 6.2). */
export const clientMessageShape = z.discriminatedUnion('type', [
  subscriptionShape.extend({ type: z.literal('subscribe'), id }),
  z.strictObject({ type: z.literal('unsubscribe'), id }),
  z.strictObject({ type: z.literal('publish'), id, event: z.unknown() }),
  z.strictObject({ type: z.literal('authenticate'), token: z.string().min(1) }),
  z.strictObject({ type: z.literal('ping') }),
]);

/** The error that answers a wrong message. `id` is the message's, where it can be read. */
export interface RejectedMessage {
  readonly id?: string;
  readonly error: TidemarkError;
}

/** Reads a text message of a client. It throws nothing, because bad input does not end a connection. */
export function parseClientMessage(text: string): ClientMessage | RejectedMessage {
  let input: unknown;
  let idText = '';
  try {
    refuseCostlyMessage(text, (json) => {
      idText = json;
    });
    input = parseExact(text);
  } catch (cause) {
    if (cause instanceof TidemarkError) return rejected(cause, idOf(idText));
    return { error: new TidemarkError('invalid_json', 'The message is not JSON.', { cause }) };
  }
  try {
    return toMessage(input);
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
    return rejected(error, (input as { id?: unknown } | null)?.id);
  }
}

/** The error with the message's id, where it is one. */
function rejected(error: TidemarkError, named: unknown): RejectedMessage {
  const { success, data } = id.safeParse(named);
  return success ? { id: data, error } : { error };
}

function idOf(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function toMessage(input: unknown): ClientMessage {
  const parsed = clientMessageShape.safeParse(input);
  if (!parsed.success) throw invalid(parsed.error);
  const message = parsed.data;
  if (message.type !== 'subscribe') return message;
  return { type: 'subscribe', id: message.id, ...toRequest(message) };
}

/**
 * Reads the body of an SSE request, which has the fields of a `subscribe` message.
 *
 * @param lastEventId takes precedence over the body's `after`
 * @throws TidemarkError `invalid_message` and those of patterns and starts
 */
export function parseSubscriptionRequest(
  input: unknown,
  lastEventId: string | undefined,
): SubscriptionRequest {
  const parsed = subscriptionShape.safeParse(input);
  if (!parsed.success) throw invalid(parsed.error);
  const { data } = parsed;
  if (!lastEventId) return toRequest(data);
  // Whoever comes back repeats the whole request.
  const { atLeast: _, ...rest } = data;
  return toRequest({ ...rest, after: lastEventId });
}

function toRequest(given: z.infer<typeof subscriptionShape>): SubscriptionRequest {
  return {
    patterns: parsePatterns(given.topics),
    ...(given.types && { types: given.types }),
    start: withAtLeast(parseStart(given.after ?? undefined), given.atLeast),
    deliver: given.deliver ?? 'all',
    trace: given.trace ?? false,
  };
}

/**
 * Adds the cursor that a start at the last events must have reached.
 *
 * @param atLeast absent or a cursor
 * @throws TidemarkError `invalid_cursor`; `invalid_message` with another start
 */
export function withAtLeast(start: Start, atLeast: string | undefined): Start {
  if (atLeast === undefined) return start;
  if (start.kind === 'last') return { kind: 'last', atLeast: parseCursor(atLeast) };
  const faults = [{ path: 'atLeast', message: 'goes with after: "last" alone' }];
  throw new TidemarkError('invalid_message', 'atLeast goes with after: "last" alone.', { faults });
}

function invalid(error: z.ZodError): TidemarkError {
  const faults = error.issues.map(({ path, message }) => ({
    path: path.join('.') || '$',
    message,
  }));
  const [first] = faults;
  return new TidemarkError('invalid_message', `${first?.path}: ${first?.message}`, { faults });
}
