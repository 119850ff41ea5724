import { TidemarkError } from '@tidemark/protocol';
import {
  type ArchiveAnswer,
  type ArchiveQuery,
  type ArchiveState,
  type CreateEvent,
  decodePage,
} from './archive-pages.ts';
import { ARCHIVE_SUBJECT, isErrorCode } from './archive-server.ts';
import type { NatsLink } from './link.ts';

const ERROR_START = Buffer.from('{"error":');

/**
 * Reads the archive that a replay service keeps.
 *
 * Every call throws TidemarkError `unavailable` when no replay service answers in time.
 */
export class ArchiveClient {
  readonly #link: NatsLink;
  readonly #timeoutMs: number;

  constructor(link: NatsLink, { timeoutMs }: { readonly timeoutMs: number }) {
    this.#link = link;
    this.#timeoutMs = timeoutMs;
  }

  async state(): Promise<ArchiveState> {
    return parse<ArchiveState>(await this.#request('state', {}));
  }

  /** @throws TidemarkError `invalid_cursor` when the archive belongs to another epoch */
  async read<E>(query: ArchiveQuery, create: CreateEvent<E>): Promise<ArchiveAnswer<E>> {
    return decodePage(await this.#request('read', query), create);
  }

  /** The last sequence stored before that time, 0 when there is none. */
  async sequenceAt(timeMs: number): Promise<number> {
    return parse<{ sequence: number }>(await this.#request('sequence-at', { timeMs })).sequence;
  }

  async #request(operation: string, body: object): Promise<Uint8Array> {
    const reply = await this.#ask(operation, body);
    if (!ERROR_START.equals(reply.subarray(0, ERROR_START.length))) return reply;
    const { error } = parse<{ error: { code: string; message: string } }>(reply);
    throw new TidemarkError(isErrorCode(error.code) ? error.code : 'internal', error.message);
  }

  async #ask(operation: string, body: object): Promise<Uint8Array> {
    try {
      const reply = await this.#link.connection.request(
        `${ARCHIVE_SUBJECT}.${operation}`,
        JSON.stringify(body),
        { timeout: this.#timeoutMs },
      );
      return reply.data;
    } catch (cause) {
      throw new TidemarkError('unavailable', 'The archive does not answer.', { cause });
    }
  }
}

function parse<T>(bytes: Uint8Array): T {
  return JSON.parse(new TextDecoder().decode(bytes)) as T;
}
