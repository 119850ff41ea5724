import type { ErrorCode } from '@tidemark/protocol';
import type { z } from 'zod';

/**
 * What an operation takes and answers. It stands beside the code that serves it, and is that operation's part of
 * the service's OpenAPI document. All schemas describe JSON as it is sent.
 */
export interface Description {
  /** What it does, in one short sentence without its end. */
  readonly summary: string;
  /** Further sentences, in Markdown. */
  readonly details?: string;
  /** The parts of the path that begin with a colon, by name. */
  readonly path?: z.ZodObject;
  /** The query parameters besides those of the credentials. An array is sent with commas between its items. */
  readonly query?: z.ZodObject;
  /** The headers that it reads, besides those of the credentials and of all requests. */
  readonly headers?: z.ZodObject;
  /** Bodies by media type; no body if absent. */
  readonly body?: Readonly<Record<string, z.ZodType>>;
  /** Its answers by status, besides errors. */
  readonly answers: Readonly<Record<number, Answer>>;
  /** Errors besides those that every request with these credentials may get. */
  readonly errors?: readonly ErrorCode[];
}

/** One answer of an operation. */
export interface Answer {
  /** When it comes, or what it holds. */
  readonly means: string;
  /** Bodies by media type; no body if absent. */
  readonly content?: Readonly<Record<string, z.ZodType>>;
  /** Headers that it has or may have. */
  readonly headers?: z.ZodObject;
}

/** What identifies the sender of a request: a token, or also a ticket. A signature is checked by the endpoint. */
export type Credential = 'token' | 'ticket';

/** The errors that end by themselves while the client waits. An endpoint may tell them within an answer of 200. */
export const POSTPONED: ReadonlySet<string> = new Set(['unavailable', 'limit_exceeded']);
