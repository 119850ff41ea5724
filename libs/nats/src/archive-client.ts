import {
  type ArchiveQuery,
  type LogBounds,
  parseBoundsAnswer,
  parseErrorAnswer,
  parseSequenceAnswer,
  TidemarkError,
} from '@tidemark/protocol';
import { type ArchiveAnswer, type CreateEvent, decodePage } from './archive-pages.ts';
import { ARCHIVE_SUBJECT } from './archive-server.ts';
import type { NatsLink } from './link.ts';

const ERROR_START = Buffer.from('{"error":');

/**
 * Reads the archive of a replay service over NATS.
 *
 * Every call throws TidemarkError `unavailable` when no replay service answers within `timeoutMs`, or
 * when the answer cannot be read.
 */
export class ArchiveClient {
  readonly #link: NatsLink;
  readonly #timeoutMs: number;

  constructor(link: NatsLink, { timeoutMs }: { readonly timeoutMs: number }) {
    this.#link = link;
    this.#timeoutMs = timeoutMs;
  }

  /** The bounds of the archive now. */
  async readBounds(): Promise<LogBounds> {
    return parseBoundsAnswer(toText(await this.#request('state', {})));
  }

  /**
   * Reads one page of a range.
   *
   * @throws TidemarkError `invalid_cursor` when the archive belongs to another epoch
   */
  async readPage<E>(query: ArchiveQuery, create: CreateEvent<E>): Promise<ArchiveAnswer<E>> {
    return decodePage(await this.#request('read', query), create);
  }

  /** The last sequence stored before that time (ms since 1970); 0 when there is none. */
  async sequenceBefore(timeMs: number): Promise<number> {
    return parseSequenceAnswer(toText(await this.#request('sequence-at', { timeMs })));
  }

  async #request(operation: string, body: object): Promise<Uint8Array> {
    const answer = await this.#exchange(operation, body);
    if (!ERROR_START.equals(answer.subarray(0, ERROR_START.length))) return answer;
    throw parseErrorAnswer(toText(answer));
  }

  async #exchange(operation: string, body: object): Promise<Uint8Array> {
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

function toText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
