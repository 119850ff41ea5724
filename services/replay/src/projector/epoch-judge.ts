import { type LogRecord, leaveEpoch } from '@tidemark/nats';
import {
  type ArchivedEvent,
  decodeStored,
  eventExpiryMs,
  type Lineage,
  type LogBounds,
  NEVER_MS,
  toPresent,
} from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import type { Archive } from '../archive/archive.ts';

/** The stream, as far as an epoch is judged by it. */
export interface JudgedStream {
  /** `undefined` where the stream has no record there. */
  readonly readRecord: (sequence: number) => Promise<LogRecord | undefined>;
  /** Whether the stream has a record behind a sequence, so that one which is not there was erased. */
  readonly reachesBeyond: (sequence: number) => Promise<boolean>;
  /**
   * Writes the lineage of the log, and answers the bounds of the stream in its last epoch. Fails where the
   * stream is no longer in the epoch that was judged.
   */
  readonly writeLineage: (lineage: Lineage, judged: string) => Promise<LogBounds>;
}

/** The archive, as far as an epoch is judged by it. */
export type JudgedArchive = Pick<Archive, 'bounds' | 'lastEvent' | 'isErased'>;

/** Most erased events that are passed over in search of one that can be compared. */
const ERASED_MAX = 100;

/**
 * Decides, before the archive is aligned, whether the log goes on in its epoch. The log lost its end where
 * the stream ends before the archive, or has other events than the archive: after a power cut, or with an
 * older backup. It then goes on in a new epoch, which shares the old one up to the last event in common.
 *
 * It sends one request where nothing was lost, and otherwise one more for each halving of the archive.
 *
 * @returns the bounds of the stream in the epoch that the archive is to be aligned with
 * @throws the error of NATS; Error where the server does not have what it said it has
 */
export async function judgeEpoch(
  archive: JudgedArchive,
  stream: LogBounds,
  judged: JudgedStream,
  logger: Logger,
): Promise<LogBounds> {
  const { readRecord, writeLineage } = judged;
  const found = archive.bounds;
  if (!found) return stream;
  const isSame = found.epoch === stream.epoch;
  // A backup from before the archive's epoch names an epoch that the log has left.
  const isOlder = !isSame && toPresent(found, { epoch: stream.epoch, sequence: 0 }) !== undefined;
  // An archive that the log has left behind may know better than the one by which its epoch was judged.
  const present = toPresent(stream, { epoch: found.epoch, sequence: found.lastSequence });
  if (!present && !isOlder) return stream;
  const end =
    isOlder || isSame ? found.lastSequence : Math.min(present?.sequence ?? 0, stream.lastSequence);
  const kept = { ...found, lastSequence: end };
  const compared = await lastInCommon(archive, kept, stream, judged);
  const through = await beforeUnknown(archive, { ...stream, lastSequence: compared }, readRecord);
  const isWhole = through === end;
  if (isWhole && !isOlder) return stream;
  const lineage = isWhole ? found : leaveEpoch(isOlder ? found : stream, through);
  const { epoch } = lineage;
  logger.warn({ from: stream.epoch, through, epoch }, 'the log lost its end: it has a new epoch');
  return writeLineage(lineage, stream.epoch);
}

/** @returns the last sequence up to which archive and stream have the same events, in the archive's bounds */
async function lastInCommon(
  archive: JudgedArchive,
  { firstSequence, lastSequence }: LogBounds,
  stream: LogBounds,
  { readRecord, reachesBeyond }: JudgedStream,
): Promise<number> {
  const end = Math.min(lastSequence, stream.lastSequence);
  const start = Math.max(firstSequence, stream.firstSequence) - 1;
  const isSame = async (event: ArchivedEvent | undefined): Promise<boolean> => {
    // Messages that are no events are not in the archive. `beforeUnknown` looks at them.
    let compared = event;
    for (let erased = 0; compared && erased < ERASED_MAX; erased++) {
      const { sequence } = compared;
      const record = await readRecord(sequence);
      if (record) return isOf(record, compared);
      if (!(await reachesBeyond(sequence))) {
        throw new Error(`The stream has no record ${sequence}, which lies within its bounds.`);
      }
      // It was erased, and the archive has yet to learn that: the event before it tells as much.
      compared = archive.lastEvent({ after: start, through: sequence - 1 });
    }
    return true;
  };
  if (await isSame(archive.lastEvent({ after: start, through: end }))) return end;
  let same = start;
  let through = end;
  while (same < through) {
    const middle = same + Math.ceil((through - same) / 2);
    const event = archive.lastEvent({ after: same, through: middle });
    if (await isSame(event)) same = middle;
    else through = (event?.sequence ?? middle) - 1;
  }
  return Math.max(same, Math.min(start, end));
}

/** Most messages that are looked at one by one. A longer run of messages that are no events counts as shared. */
const UNKNOWN_MAX = 1000;

/**
 * Where the archive ends with messages that are no events, the stream may have lost these and have events in
 * their place.
 *
 * @returns the sequence before the first event that the archive lacks, or the end of the bounds
 */
async function beforeUnknown(
  archive: JudgedArchive,
  { firstSequence, lastSequence: through }: LogBounds,
  readRecord: JudgedStream['readRecord'],
): Promise<number> {
  const last = archive.lastEvent({ after: 0, through })?.sequence ?? 0;
  const first = Math.max(last + 1, firstSequence);
  const end = Math.min(through, first + UNKNOWN_MAX - 1);
  for (let sequence = first; sequence <= end; sequence++) {
    const record = await readRecord(sequence);
    if (record?.topic === undefined) continue;
    const stored = decodeStored(record);
    if (!stored.valid || mayBeRemoved(archive, { ...record, ...stored })) continue;
    return sequence - 1;
  }
  return through;
}

/** Whether the archive may have had an event that it lacks: one that expires, or is erased. */
function mayBeRemoved(
  archive: JudgedArchive,
  { sequence, topic = '', json }: Pick<LogRecord, 'sequence' | 'topic'> & { json: Uint8Array },
): boolean {
  return eventExpiryMs(json) !== NEVER_MS || archive.isErased({ sequence, topic });
}

/** An earlier version may have read the same message in another way; then its time tells. */
function isOf(record: LogRecord, archived: ArchivedEvent): boolean {
  if (record.timeMs === archived.timeMs) return true;
  const stored = decodeStored(record);
  return stored.valid && Buffer.from(stored.json).toString() === archived.json;
}
