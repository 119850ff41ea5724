import { CliError } from '../base/errors.ts';
import type { Api } from '../http/api.ts';
import { ServiceError } from '../http/service-error.ts';

/** An event with its line, ready to be sent. */
export interface Item {
  readonly line: number;
  readonly id: string;
  readonly source: string;
  /** What is sent. */
  readonly json: string;
  /** What the file has. */
  readonly text: string;
}

/** What became of one line. */
export type Outcome =
  | {
      readonly line: number;
      readonly id: string;
      readonly topic: string;
      readonly cursor: string;
      readonly duplicate: boolean;
    }
  | Refused;

/** A line that was refused, and its text where there is one. */
export interface Refused {
  readonly line: number;
  readonly error: { readonly code: string; readonly message: string };
  readonly text?: string;
}

/** Attempts of one batch: some two minutes while a service is away that was there before. */
const ATTEMPTS = 16;

/** Attempts of the first one: the URL may be wrong. */
const FIRST_ATTEMPTS = 4;

/** Statuses of answers that are about the events (PROTOCOL 9.1). All others are about the token, the service or the way to it. */
const REFUSALS: ReadonlySet<number> = new Set([400, 403, 409, 412, 413]);

/** How to send a batch. */
export interface SendOptions {
  readonly api: Api;
  /** No batch was stored yet. */
  readonly isFirst: boolean;
}

interface Stored {
  readonly id: string;
  readonly topic: string;
  readonly cursor: string;
  readonly duplicate: boolean;
}

/**
 * Stores a batch in order. An event that the service refuses is told by its line, and the others are stored.
 *
 * @throws CliError where nothing can be stored now, the token is refused, or nothing of Tidemark answers
 */
export async function sendBatch(options: SendOptions, items: readonly Item[]): Promise<Outcome[]> {
  const { api, isFirst } = options;
  if (items.length === 0) return [];
  try {
    const { body } = await api.send<Stored[]>({
      service: 'ingest',
      method: 'POST',
      path: '/v1/events',
      text: `[${items.map(({ json }) => json).join(',')}]`,
      headers: { 'content-type': 'application/cloudevents-batch+json' },
      attempts: isFirst ? FIRST_ATTEMPTS : ATTEMPTS,
    });
    return items.map(({ line }, index) => {
      const { id, topic, cursor, duplicate } = stored(body, index);
      return { line, id, topic, cursor, duplicate };
    });
  } catch (error) {
    if (!(error instanceof ServiceError) || !REFUSALS.has(error.status)) throw error;
    return afterRefusal(options, items, error);
  }
}

async function afterRefusal(
  options: SendOptions,
  items: readonly Item[],
  error: ServiceError,
): Promise<Outcome[]> {
  const faults = faultsByIndex(error, items.length);
  const refuse = ({ line, text }: Item, message: string): Outcome => ({
    line,
    error: { code: error.code, message },
    text,
  });
  if (faults.size > 0) {
    const wrong = items.flatMap((item, index) => {
      const message = faults.get(index);
      return message === undefined ? [] : [refuse(item, message)];
    });
    // With a conflict the others are stored; a repeat tells their cursors, and stores nothing.
    const others = await sendBatch(
      options,
      items.filter((_, index) => !faults.has(index)),
    );
    return [...wrong, ...others].sort((left, right) => left.line - right.line);
  }
  const [first] = items;
  if (items.length === 1 && first) return [refuse(first, error.message)];
  // The refusal names no event, such as where the body is too large.
  const half = Math.ceil(items.length / 2);
  return [
    ...(await sendBatch(options, items.slice(0, half))),
    ...(await sendBatch(options, items.slice(half))),
  ];
}

/** What is wrong with each event, by its place in the batch: a fault's path begins with `[3]`. */
function faultsByIndex({ faults }: ServiceError, count: number): Map<number, string> {
  const found = new Map<number, string>();
  for (const { path, message } of faults) {
    const match = /^\[(\d+)\]\.?(.*)$/s.exec(path);
    const index = Number(match?.[1] ?? Number.NaN);
    if (!(index < count)) continue;
    const text = match?.[2] ? `${match[2]} ${message}` : message;
    const before = found.get(index);
    found.set(index, before === undefined ? text : `${before}; ${text}`);
  }
  return found;
}

function stored(body: readonly Stored[], index: number): Stored {
  const one = Array.isArray(body) ? body[index] : undefined;
  if (one) return one;
  throw new CliError('The service answered with less than it was sent: is it Tidemark?');
}
