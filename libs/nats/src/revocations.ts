import { createHash } from 'node:crypto';
import type { KV } from '@nats-io/kv';
import { type Revocation, TidemarkError } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import { bucketStream, isConflict, openBucket, REVOCATION_BUCKET } from './buckets.ts';
import { Feed } from './feed.ts';
import type { NatsLink } from './link.ts';
import type { LogRecord } from './records.ts';

/** Most attempts to write a revocation that others write at the same time. */
const WRITES_MAX = 5;

/** Receives the stored revocations in order. */
export interface RevocationSink {
  /** Adds a revocation, which it may have received before. `storedMs`: milliseconds since 1970. */
  add(revocation: Revocation, storedMs: number): void;
  remove(revocation: Revocation): void;
  /** Called when every revocation that was stored before now has been added. */
  complete(): void;
}

interface StoredRevocation {
  readonly revocation: Revocation;
  /** Whether it is lifted. It stays in the bucket, so that every reader learns of that. */
  readonly lifted?: true;
}

/**
 * Gives a sink all stored revocations, and then each new one.
 *
 * @returns ends that
 */
export function followRevocations(
  link: NatsLink,
  sink: RevocationSink,
  logger: Logger,
): { stop(): void } {
  let received = 0;
  let waiting = Number.POSITIVE_INFINITY;
  const feed = new Feed({
    link,
    logger,
    stream: bucketStream(REVOCATION_BUCKET),
    // It reads all of them again: they are few, and adding one twice changes nothing.
    onStart: () => {
      received = 0;
      waiting = Number.POSITIVE_INFINITY;
      return 0;
    },
    onRecord: (record) => {
      received++;
      apply(record, sink, logger);
      if (received === waiting) sink.complete();
    },
    onOpen: (count) => {
      waiting = count;
      if (received >= waiting) sink.complete();
    },
  });
  feed.start();
  return feed;
}

/** Writes revocations into the bucket that every service reads. */
export class RevocationStore {
  readonly #link: NatsLink;
  readonly #timeoutMs: number;

  constructor(link: NatsLink, { timeoutMs }: { readonly timeoutMs: number }) {
    this.#link = link;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Stores a revocation.
   *
   * @throws TidemarkError `unavailable`; it may have been stored then
   */
  add(revocation: Revocation): Promise<void> {
    return this.#run(async (bucket) => {
      if (!('issuedBeforeMs' in revocation)) {
        await bucket.put(keyOf(revocation), encode({ revocation }));
        return;
      }
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#advance(bucket, revocation);
        } catch (error) {
          if (attempt === WRITES_MAX || !isConflict(error)) throw error;
        }
      }
    });
  }

  /**
   * Lifts a revocation.
   *
   * @throws TidemarkError `unavailable`; it may have been lifted then
   */
  remove(revocation: Revocation): Promise<void> {
    return this.#run(async (bucket) => {
      await bucket.put(keyOf(revocation), encode({ revocation, lifted: true }));
    });
  }

  /** Never moves a subject's time back, which would accept tokens again. */
  async #advance(
    bucket: KV,
    revocation: Extract<Revocation, { issuedBeforeMs: number }>,
  ): Promise<void> {
    const key = keyOf(revocation);
    const entry = await bucket.get(key);
    const known = entry && decode(entry.value);
    const knownMs =
      known && !known.lifted && 'issuedBeforeMs' in known.revocation
        ? known.revocation.issuedBeforeMs
        : 0;
    const issuedBeforeMs = Math.max(knownMs, revocation.issuedBeforeMs);
    const value = encode({ revocation: { ...revocation, issuedBeforeMs } });
    await bucket.put(key, value, { previousSeq: entry?.revision ?? 0 });
  }

  async #run(write: (bucket: KV) => Promise<void>): Promise<void> {
    try {
      await write(await openBucket(this.#link, REVOCATION_BUCKET, { timeoutMs: this.#timeoutMs }));
    } catch (cause) {
      throw new TidemarkError('unavailable', 'The revocation may not be stored; send it again.', {
        retryAfterSeconds: 1,
        cause,
      });
    }
  }
}

function apply(
  { payload, timeMs, sequence }: LogRecord,
  sink: RevocationSink,
  logger: Logger,
): void {
  const stored = decode(payload);
  if (!stored) logger.error({ sequence }, 'a stored revocation cannot be read');
  else if (stored.lifted) sink.remove(stored.revocation);
  else sink.add(stored.revocation, timeMs);
}

/** A hash, because keys have a limited alphabet and the subjects of tokens do not. */
function keyOf(revocation: Revocation): string {
  if ('tokenId' in revocation) return `jti.${hash(revocation.tokenId)}`;
  return `${'issuedBeforeMs' in revocation ? 'before' : 'sub'}.${hash(revocation.subject)}`;
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function encode(stored: StoredRevocation): string {
  return JSON.stringify(stored);
}

function decode(payload: Uint8Array): StoredRevocation | undefined {
  try {
    const stored = JSON.parse(Buffer.from(payload).toString('utf8'));
    const { tokenId, subject } = stored.revocation;
    return typeof (tokenId ?? subject) === 'string' ? stored : undefined;
  } catch {
    return undefined;
  }
}
