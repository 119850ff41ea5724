import type { Gap } from './types.ts';

/** What a subscription asks of the server: the fields of `subscribe` (PROTOCOL 6.2). */
export interface Request {
  readonly topics: readonly string[];
  readonly types?: readonly string[];
  readonly after?: string;
  readonly atLeast?: string;
  readonly deliver?: 'latest';
}

export interface WireEvent {
  readonly topic: string;
  readonly type: string;
  readonly time?: string;
}

/** The messages of section 6.3 that the library acts on. Over SSE an `event` names its subscription too. */
export type ServerMessage =
  | { type: 'welcome'; heartbeatMs: number }
  | { type: 'subscribed'; id: string; cursor: string }
  | { type: 'last'; id: string; cursor?: string; event: WireEvent }
  | { type: 'event'; id?: string; cursor: string; event: WireEvent }
  | { type: 'live'; id: string; cursor: string }
  | ({ type: 'gap'; id: string } & Gap)
  | { type: 'skipped'; id: string; count: number; cursor: string }
  | { type: 'heartbeat'; id?: string; cursor?: string }
  | { type: 'unsubscribed'; id: string }
  | { type: 'authenticated'; id?: undefined }
  | { type: 'pong'; id?: undefined }
  | { type: 'error'; id?: string; code: string; message: string; retryable: boolean };

/** Stands for an answer over SSE that refuses the token: a request finds out more. No server sends it. */
export const REFUSED = 3401;

/** How a link ended: a close code of section 9.2, or what is nearest to it. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
}

/** Who hears what comes over a link. `size` is about the bytes that a message takes. */
export interface LinkListener {
  message(message: ServerMessage, size: number): void;
  /** Anything came, such as a comment of SSE. */
  alive(): void;
  /** Called once, and nothing after it. */
  ended(ending: Ending): void;
}

/** A way to the gateway: WebSocket or SSE. */
export interface Link {
  subscribe(id: string, request: Request): void;
  unsubscribe(id: string): void;
  /** False where the link cannot: then a new one has to be opened. */
  authenticate(token: string): boolean;
  /** Asks for a sign of life, where the link can. */
  ping(): void;
  close(): void;
}

export type OpenLink = (token: string, listener: LinkListener) => Link;
