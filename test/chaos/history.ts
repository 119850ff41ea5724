import type { EarlierEpoch, GapReason } from '@tidemark/protocol';

/*
 * What a chaos run records, as JSON lines: one record a line, in files `*.jsonl` of one folder. In each
 * file `atMs` never goes down. `final.jsonl` has the records of `FinalRecord` alone.
 *
 * All times (`atMs`, `expiresAtMs`, `askedAtMs`) are milliseconds of one clock that nobody steps, such as
 * `performance.now()` of the process that runs the clients. `timeMs` alone is a time of the stream.
 * Names of users, tokens, clients, connections and subscriptions are free texts, unique in the run. So is
 * the `id` of an event: attempts with the same `id` are repeats of one event.
 */

/** The bounds that a run promises. */
export interface RunBounds {
  /** From the end of the last fault, or a later subscribe, until a subscription is live. */
  readonly liveMs: number;
  /** From the expiry of a token (clock tolerance and grace included) until nothing arrives with it. */
  readonly expiryMs: number;
  /** From the answer to a revocation until nothing arrives with the token. */
  readonly revocationMs: number;
  /** For how long the stream recognises duplicates. */
  readonly duplicatesMs: number;
}

/** The first record of a run. Without it nothing can be checked. */
export interface RunRecord extends RunBounds {
  readonly kind: 'run';
  readonly atMs: number;
  readonly seed: number;
}

/** An attempt to publish, written before the first byte is sent. An item of a batch is an attempt too. */
export interface PublishAttempt {
  readonly kind: 'publish-attempt';
  readonly atMs: number;
  /** Unique in the run; a repeat of the event is another attempt. */
  readonly attempt: number;
  readonly publisher: string;
  readonly topic: string;
  readonly source: string;
  readonly id: string;
  readonly via: 'http' | 'websocket' | 'nats';
  /** `If-Match`: the cursor that the topic's last event has to have. `null`: `If-None-Match: *`. */
  readonly condition?: string | null;
}

/** The answer to an attempt. An attempt without one counts as `unknown`. */
export interface PublishAnswer {
  readonly kind: 'publish-answer';
  readonly atMs: number;
  readonly attempt: number;
  /** `unknown`: 503, 5xx, a time-out or a cut connection. `refused`: every other error. */
  readonly outcome: 'stored' | 'duplicate' | 'refused' | 'unknown';
  /** With `refused` and, where there is one, `unknown`: the code of the error. */
  readonly code?: string;
  /**
   * Of the stored event; with `precondition_failed`: of the topic's last event, or `null`.
   * Absent with `via: 'nats'` where the epoch is not known.
   */
  readonly cursor?: string | null;
}

/** A token, written when it is made. */
export interface TokenRecord {
  readonly kind: 'token';
  readonly atMs: number;
  readonly token: string;
  readonly user: string;
  /** The patterns of its `subscribe:` words. */
  readonly subscribe: readonly string[];
  /** The patterns of its `history:` words. */
  readonly history: readonly string[];
  /** Its `exp`, on the clock of `atMs`. */
  readonly expiresAtMs: number;
}

/** A gateway has answered the revocation of a token with 204. Of a user: one record for each token. */
export interface RevokedRecord {
  readonly kind: 'revoked';
  readonly atMs: number;
  readonly token: string;
}

/** A client begins to connect, or the request of an SSE client. */
export interface ConnectRecord {
  readonly kind: 'connect';
  readonly atMs: number;
  readonly connection: string;
  readonly client: string;
  readonly token: string;
  readonly transport: 'websocket' | 'sse';
  /** The name of the process, as `fault.target` has it; `proxy` where the client cannot know. */
  readonly gateway: string;
}

/** `authenticated` has arrived: the connection goes on with another token. */
export interface AuthenticatedRecord {
  readonly kind: 'authenticated';
  readonly atMs: number;
  readonly connection: string;
  readonly token: string;
}

/** The connection has ended; the client handled everything that arrived on it before. */
export interface ConnectionClosed {
  readonly kind: 'connection-closed';
  readonly atMs: number;
  readonly connection: string;
  readonly by: 'client' | 'server' | 'network';
  /** The WebSocket close code, or the code of an SSE `error`. */
  readonly code?: number | string;
}

/** A client stops to read its socket, or reads it again. */
export interface ReadingRecord {
  readonly kind: 'reading';
  readonly atMs: number;
  readonly connection: string;
  readonly paused: boolean;
}

/** A client asks for a subscription, written before the message or request is sent. */
export interface SubscribeRecord {
  readonly kind: 'subscribe';
  readonly atMs: number;
  readonly connection: string;
  /** Stays the same while the client resumes at its cursor, over all connections. */
  readonly subscription: string;
  readonly patterns: readonly string[];
  /** A start (PROTOCOL.md section 4). Absent: `latest`. */
  readonly after?: string;
  readonly deliver: 'all' | 'latest';
  /**
   * Whether `after` is the subscription's cursor, which it goes on from. The cursor is that of its last event
   * or gap, or a later one that a heartbeat, `live` or `skipped` has told (PROTOCOL.md 5, 6.4, 6.5).
   */
  readonly resumes: boolean;
}

/**
 * `subscribed` has arrived; over SSE the first `id:` without data. Its cursor becomes the client's, except
 * where the client had named another place: a gap follows then, and until it has come the client keeps its own.
 */
export interface SubscribedRecord {
  readonly kind: 'subscribed';
  readonly atMs: number;
  readonly connection: string;
  readonly subscription: string;
  readonly cursor: string;
}

/** An event has arrived. On a connection with several subscriptions it names none (section 6.4). */
export interface EventRecord {
  readonly kind: 'event';
  readonly atMs: number;
  readonly connection: string;
  readonly cursor: string;
  readonly topic: string;
  readonly id: string;
}

/** `live` has arrived. */
export interface LiveRecord {
  readonly kind: 'live';
  readonly atMs: number;
  readonly connection: string;
  readonly subscription: string;
  readonly cursor: string;
}

/** A gap (section 5). */
export interface Gap {
  readonly from: string;
  readonly to: string;
  readonly reason: GapReason;
}

/** `gap` has arrived. */
export interface GapRecord extends Gap {
  readonly kind: 'gap';
  readonly atMs: number;
  readonly connection: string;
  readonly subscription: string;
}

/** `skipped` has arrived. */
export interface SkippedRecord {
  readonly kind: 'skipped';
  readonly atMs: number;
  readonly connection: string;
  readonly subscription: string;
  readonly count: number;
  readonly cursor: string;
}

/** A heartbeat with a cursor has arrived; over SSE a later `id:` without data. */
export interface HeartbeatRecord {
  readonly kind: 'heartbeat';
  readonly atMs: number;
  readonly connection: string;
  readonly cursor: string;
}

/** The subscription has ended on this connection: `unsubscribed`, or an `error` that names it. */
export interface UnsubscribedRecord {
  readonly kind: 'unsubscribed';
  readonly atMs: number;
  readonly connection: string;
  readonly subscription: string;
  /** The code of the error. */
  readonly code?: string;
}

/** The client has given the subscription up for good. All others have to be live at the end. */
export interface LeaveRecord {
  readonly kind: 'leave';
  readonly atMs: number;
  readonly subscription: string;
}

/** What a page of history or an export has shown, written when its answer is complete. */
export interface ReadRecord {
  readonly kind: 'page' | 'export';
  /** When the answer had arrived. */
  readonly atMs: number;
  readonly askedAtMs: number;
  readonly reader: string;
  readonly token: string;
  /** The replay service that was asked; `proxy` where the client cannot know. */
  readonly replay: string;
  readonly topics: readonly string[];
  /** A start; absent: the first event. */
  readonly after?: string;
  /** A cursor; absent: the end. */
  readonly before?: string;
  readonly order: 'asc' | 'desc';
  readonly limit?: number;
  /** In the order of the answer. */
  readonly items: readonly (readonly [cursor: string, id: string])[];
  readonly gaps: readonly Gap[];
  /** Absent where an export was cut off before its last line. */
  readonly next?: string | null;
  readonly complete: boolean;
}

/** A fault begins or ends. `target` has the names that `gateway` and `replay` have, and `nats-…`. */
export interface FaultRecord {
  readonly kind: 'fault';
  readonly atMs: number;
  /** Unique in the run; the same at its begin and end. */
  readonly number: number;
  /** Such as `kill`, `stop`, `cut`, `delay`, `full-disk`, `power-loss`. */
  readonly fault: string;
  /** The process or the link, such as `gateway-1` or `nats-1 nats-2`. */
  readonly target: string;
  readonly phase: 'begin' | 'end';
  /**
   * What it may lose for good. `end`: the last events of the log, by a power loss or an older copy.
   * `start`: events that left the stream before an archive had them, or that only a lost archive had.
   */
  readonly loses?: 'end' | 'start';
}

/** A line of the history of a run. */
export type HistoryRecord =
  | RunRecord
  | PublishAttempt
  | PublishAnswer
  | TokenRecord
  | RevokedRecord
  | ConnectRecord
  | AuthenticatedRecord
  | ConnectionClosed
  | ReadingRecord
  | SubscribeRecord
  | SubscribedRecord
  | EventRecord
  | LiveRecord
  | GapRecord
  | SkippedRecord
  | HeartbeatRecord
  | UnsubscribedRecord
  | LeaveRecord
  | ReadRecord
  | FaultRecord;

/**
 * The stream or an archive at the end, when everything is quiet: faults have ended, publishers have stopped, and
 * subscriptions are live. Its events follow as `StoredEvent`. `stream` has to be there.
 */
export interface FinalStore {
  readonly kind: 'store';
  /** `stream`, or the name of a replay service. */
  readonly store: string;
  readonly epoch: string;
  readonly earlier?: readonly EarlierEpoch[];
  readonly firstSequence: number;
  readonly lastSequence: number;
}

/** An event that a store holds at the end. */
export interface StoredEvent {
  readonly kind: 'stored';
  readonly store: string;
  readonly sequence: number;
  readonly topic: string;
  readonly id: string;
  /** When the stream stored it, in milliseconds since 1970. */
  readonly timeMs: number;
}

/** A line of `final.jsonl`. */
export type FinalRecord = FinalStore | StoredEvent;
