import type { KV } from '@nats-io/kv';
import {
  parseStoredRevocation,
  type Revocation,
  revocationKey,
  type StoredRevocation,
  TidemarkError,
} from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import {
  bucketStream,
  isConflict,
  openBucket,
  REVOCATION_BUCKET,
  readUntimedUntil,
} from './buckets.ts';
import { Feed } from './feed.ts';
import type { NatsLink } from './link.ts';
import { RECORD_TOLERANCE_MS, type RecordSeal, type RecordStoreOptions } from './record-seal.ts';
import type { LogRecord } from './records.ts';

/** Most attempts to write a revocation that others write at the same time. */
const WRITES_MAX = 5;

/** What the subject of a stored revocation begins with; the rest is its key. */
const SUBJECT_PREFIX = `$KV.${REVOCATION_BUCKET}.`;

/** Receives the stored revocations in order. */
export interface RevocationSink {
  /** Adds a revocation, which it may have received before. `storedMs`: milliseconds since 1970. */
  add(revocation: Revocation, storedMs: number): void;
  remove(revocation: Revocation): void;
  /** What is stored under this key cannot be read: tokens that the key names count as revoked. */
  addUnreadable(key: string, storedMs: number): void;
  /** Called when every revocation that was stored before now has been added. */
  complete(): void;
}

/** What revocations are read with. */
export interface RevocationReading {
  readonly seal: RecordSeal;
  readonly logger: Logger;
}

/**
 * Gives a sink all stored revocations, and then each new one.
 *
 * @returns ends that
 */
export function followRevocations(
  link: NatsLink,
  sink: RevocationSink,
  { seal, logger }: RevocationReading,
): { stop(): void } {
  let received = 0;
  let waiting = Number.POSITIVE_INFINITY;
  let untimedUntilMs = 0;
  const feed = new Feed({
    link,
    logger,
    stream: bucketStream(REVOCATION_BUCKET),
    // It reads all of them again: they are few, and adding one twice changes nothing.
    onStart: async () => {
      untimedUntilMs = await readUntimedUntil(link);
      received = 0;
      waiting = Number.POSITIVE_INFINITY;
      return 0;
    },
    onRecord: (record) => {
      received++;
      apply(record, sink, { seal, logger, untimedUntilMs });
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
  readonly #options: RecordStoreOptions;

  constructor(link: NatsLink, options: RecordStoreOptions) {
    this.#link = link;
    this.#options = options;
  }

  /**
   * Stores a revocation.
   *
   * @throws TidemarkError `unavailable`; it may have been stored then
   */
  add(revocation: Revocation): Promise<void> {
    return this.#run(async (bucket) => {
      if (!('issuedBeforeMs' in revocation)) {
        await this.#put(bucket, { revocation });
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
    return this.#run((bucket) => this.#put(bucket, { revocation, lifted: true }));
  }

  /** Never moves a subject's time back, which would accept tokens again. */
  async #advance(
    bucket: KV,
    revocation: Extract<Revocation, { issuedBeforeMs: number }>,
  ): Promise<void> {
    const key = revocationKey(revocation);
    const entry = await bucket.get(key);
    const untimedUntilMs = await readUntimedUntil(this.#link);
    const stored = entry && {
      payload: entry.value,
      storedMs: entry.created.getTime(),
      untimedUntilMs,
    };
    const { text } = stored
      ? this.#options.seal.open({ bucket: REVOCATION_BUCKET, key }, stored)
      : {};
    const known = text === undefined ? undefined : parseStoredRevocation(text);
    const knownMs =
      known && !known.lifted && 'issuedBeforeMs' in known.revocation
        ? known.revocation.issuedBeforeMs
        : 0;
    const issuedBeforeMs = Math.max(knownMs, revocation.issuedBeforeMs);
    await this.#put(
      bucket,
      { revocation: { ...revocation, issuedBeforeMs } },
      entry?.revision ?? 0,
    );
  }

  async #put(bucket: KV, one: StoredRevocation, previousSeq?: number): Promise<void> {
    const key = revocationKey(one.revocation);
    const nowMs = Date.now();
    const place = { bucket: REVOCATION_BUCKET, key };
    const record = this.#options.seal.seal(place, JSON.stringify(one), nowMs);
    await bucket.put(key, record, previousSeq === undefined ? {} : { previousSeq });
    const entry = await bucket.get(key);
    const apartMs = entry ? Math.abs(entry.created.getTime() - nowMs) : 0;
    if (apartMs <= RECORD_TOLERANCE_MS) return;
    // Nobody reads it, and so whatever it concerns counts as revoked.
    const reason = `The clocks of this service and of NATS differ by ${apartMs} ms.`;
    throw new TidemarkError('unavailable', reason, { retryAfterSeconds: 1 });
  }

  async #run(write: (bucket: KV) => Promise<void>): Promise<void> {
    try {
      await write(await openBucket(this.#link, REVOCATION_BUCKET, this.#options));
    } catch (cause) {
      if (cause instanceof TidemarkError) throw cause;
      throw new TidemarkError('unavailable', 'The revocation may not be stored; send it again.', {
        retryAfterSeconds: 1,
        cause,
      });
    }
  }
}

function apply(
  { subject, payload, timeMs, sequence }: LogRecord,
  sink: RevocationSink,
  { seal, logger, untimedUntilMs }: RevocationReading & { readonly untimedUntilMs: number },
): void {
  const key = subject.slice(SUBJECT_PREFIX.length);
  const { text, fault } = seal.open(
    { bucket: REVOCATION_BUCKET, key },
    { payload, storedMs: timeMs, untimedUntilMs },
  );
  const stored = text === undefined ? undefined : parseStoredRevocation(text);
  if (!stored) {
    const reason = fault ?? 'it is no revocation';
    logger.error(
      { sequence, key, reason },
      'a stored revocation cannot be read: what it names is revoked',
    );
    sink.addUnreadable(key, timeMs);
  } else if (stored.lifted) {
    sink.remove(stored.revocation);
  } else {
    sink.add(stored.revocation, timeMs);
  }
}
