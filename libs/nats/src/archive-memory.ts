import { jetstream } from '@nats-io/jetstream';
import { type ArchiveAnnouncement, parseAnnouncement } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import { ARCHIVE_BUCKET, bucketStream } from './buckets.ts';
import type { NatsLink } from './link.ts';
import { manager, readInfo } from './stream-state.ts';

const SUBJECT_PREFIX = `$KV.${ARCHIVE_BUCKET}.`;

/** How often an archive that does not change is written again, so that its record does not grow too old. */
const REWRITE_MS = 60 * 60_000;

/** The least time between two writes, whatever changes. */
const WRITE_MS = 10_000;

const TIMEOUT_MS = 5000;

/**
 * Archive memory: the archives that there are, in a bucket. A process that starts while an archive is away has
 * never heard of it. From here it knows that there is something to wait for.
 */
export class ArchiveMemory {
  readonly #link: NatsLink;
  readonly #logger: Logger;
  #written = '';
  #writtenMs = Number.NEGATIVE_INFINITY;

  constructor(link: NatsLink, logger: Logger) {
    this.#link = link;
    this.#logger = logger;
  }

  /** Writes an archive where it is new, holds another part of the log than before, or was written long ago. */
  note(announcement: ArchiveAnnouncement): void {
    const { archive, holdings } = announcement;
    const { epoch, firstSequence, missing } = holdings;
    // Its end may be old: a silent archive may hold more than it announced.
    const told = JSON.stringify([archive, epoch, firstSequence, missing]);
    const sinceMs = performance.now() - this.#writtenMs;
    if (sinceMs < (told === this.#written ? REWRITE_MS : WRITE_MS)) return;
    this.#writtenMs = performance.now();
    this.#written = told;
    this.#write(announcement).catch(({ message: reason }) => {
      this.#written = '';
      this.#logger.warn({ reason }, 'the archive could not be entered among those that there are');
    });
  }

  async #write(announcement: ArchiveAnnouncement): Promise<void> {
    const client = jetstream(this.#link.connection, { timeout: TIMEOUT_MS });
    const text = JSON.stringify({ ...announcement, leaving: false });
    await client.publish(`${SUBJECT_PREFIX}${announcement.archive}`, text);
  }
}

/**
 * Reads all archives that there were in the last days. A record that cannot be read is left out.
 *
 * @throws the error of NATS
 */
export async function readArchiveMemory(link: NatsLink): Promise<ArchiveAnnouncement[]> {
  const stream = bucketStream(ARCHIVE_BUCKET);
  // Before the first replay service of this version there is none.
  if (!(await readInfo(link, stream))) return [];
  const { streams } = await manager(link);
  const info = await streams.info(stream, { subjects_filter: `${SUBJECT_PREFIX}>` });
  const subjects = Object.keys(info.state.subjects ?? {});
  const records = await Promise.all(
    subjects.map((subject) => streams.getMessage(stream, { last_by_subj: subject })),
  );
  return records.flatMap((record) => {
    try {
      const announcement = record && parseAnnouncement(new TextDecoder().decode(record.data));
      return announcement && record.subject === `${SUBJECT_PREFIX}${announcement.archive}`
        ? [announcement]
        : [];
    } catch {
      return [];
    }
  });
}
