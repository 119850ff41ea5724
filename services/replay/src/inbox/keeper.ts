import { setTimeout as pause } from 'node:timers/promises';
import {
  asTidemarkError,
  decodeTopicToken,
  EMPTY_INBOX,
  encodeInbox,
  type LogBounds,
} from '@tidemark/protocol';
import type { Logger, Metrics } from '@tidemark/telemetry';
import type { Archive } from '../archive/archive.ts';
import type { ArchiveStore } from '../archive/archive-store.ts';
import { topicRanges } from '../selection/topic-ranges.ts';
import type { DictionaryEntry } from '../sqlite/dictionary.ts';
import type { InboxChanges } from './changes.ts';
import { cursorOf, type Inboxes } from './inboxes.ts';

/** Inboxes in one read of the file. */
const NAMES_PER_READ = 200;

/** The pause after each read and each append, so that many inboxes take no more than a small part of the service. */
const PAUSE_MS = 10;

/** The part of a stream with a largest size, counted from its oldest event, from which inboxes are stored again. */
const OLDEST_PART = 1 / 4;

export interface InboxKeeperOptions {
  readonly store: ArchiveStore;
  readonly inboxes: Inboxes;
  readonly changes: InboxChanges;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Aborted when the service stops. */
  readonly signal: AbortSignal;
  /** Time between two sweeps. */
  readonly inboxKeepSeconds: number;
  /** As the stream is configured; 0: it removes nothing. */
  readonly streamMaxAgeSeconds: number;
  readonly streamMaxBytes: number;
}

/**
 * Stores the state of an inbox again before the stream removes it, so that what users follow survives the loss of all
 * archives too. A mark needs that less, because it is younger than its item.
 *
 * Of several replay services one is first; the others find that the inbox has another last event by then.
 */
export class InboxKeeper {
  readonly #options: InboxKeeperOptions;
  readonly #kept;
  #stream: LogBounds | undefined;
  #ended: Promise<void> | undefined;

  constructor(options: InboxKeeperOptions) {
    this.#options = options;
    this.#kept = options.metrics.counter(
      'inbox_kept_total',
      'States of inboxes that were stored again before the stream removed them.',
    );
  }

  /** Learns the bounds of the stream. The first sweep follows the first time. */
  noteStream(bounds: LogBounds): void {
    this.#stream = bounds;
    this.#ended ??= this.#sweepAll();
  }

  async #sweepAll(): Promise<void> {
    const { signal, logger, inboxKeepSeconds, streamMaxAgeSeconds, streamMaxBytes } = this.#options;
    if (streamMaxAgeSeconds === 0 && streamMaxBytes === 0) return;
    while (!signal.aborted) {
      try {
        await this.#sweep();
      } catch (error) {
        const { code, message } = asTidemarkError(error);
        // The archive has not begun, or NATS is away.
        if (code !== 'unavailable') logger.error({ err: error }, 'inboxes could not be kept');
        else logger.debug({ reason: message }, 'inboxes are kept later');
      }
      await pause(inboxKeepSeconds * 1000, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  async #sweep(): Promise<void> {
    const { store, signal } = this.#options;
    const { archive } = store.snapshot();
    const through = this.#dueThrough(archive);
    for (const topics of inboxTopics(archive)) {
      for (const { name, lastSequence } of topics) {
        if (lastSequence <= through && (await this.#keep(name))) await pause(PAUSE_MS);
        if (signal.aborted || !archive.open) return;
      }
      await pause(PAUSE_MS);
      if (signal.aborted || !archive.open) return;
    }
  }

  /** The sequence up to which events will leave the stream before long, or have left it. */
  #dueThrough(archive: Archive): number {
    const { streamMaxAgeSeconds, streamMaxBytes } = this.#options;
    const { firstSequence = 1, lastSequence = 0 } = this.#stream ?? {};
    const halfAgeMs = (streamMaxAgeSeconds * 1000) / 2;
    const old = streamMaxAgeSeconds === 0 ? 0 : archive.sequenceBefore(Date.now() - halfAgeMs);
    // Once it has removed something, it is full.
    const isFull = streamMaxBytes > 0 && firstSequence > 1;
    const part = Math.floor((lastSequence - firstSequence) * OLDEST_PART);
    return Math.max(old, isFull ? firstSequence + part : 0);
  }

  /** @returns whether there was something to store */
  async #keep(topic: string): Promise<boolean> {
    const { inboxes, changes } = this.#options;
    const subject = decodeTopicToken(topic.slice(topic.indexOf('.') + 1));
    if (subject === undefined) return false;
    const inbox = inboxes.open({ subject, topic, permits: () => true });
    if (inbox.state === EMPTY_INBOX) return false;
    const data = encodeInbox(inbox.state, (sequence) => cursorOf(inbox, sequence));
    if (!(await changes.repeat(inbox, { topics: inbox.topics, ...data }))) return false;
    this.#kept.inc();
    return true;
  }
}

/** The topics of all inboxes, in parts of one read each. */
function* inboxTopics(archive: Archive): Generator<DictionaryEntry[]> {
  for (const range of topicRanges(['inbox.*'])) {
    for (let after: string | undefined = ''; after !== undefined; ) {
      const read = archive.topics.listEntries({ ...range, after, limit: NAMES_PER_READ });
      yield read;
      after = read.length < NAMES_PER_READ ? undefined : read.at(-1)?.name;
    }
  }
}
