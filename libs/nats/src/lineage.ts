import { createHash, randomUUID } from 'node:crypto';
import {
  type EarlierEpoch,
  formatEarlier,
  type Lineage,
  logOf,
  parseEarlier,
  toPresent,
} from '@tidemark/protocol';

/** Entries of the stream's metadata, in which the log keeps its name through backups and mirrors. */
const EPOCH_KEY = 'tidemark_epoch';
const EARLIER_KEY = 'tidemark_earlier';

/** Most earlier epochs that are kept. Positions of older ones count as those of another log. */
export const EARLIER_EPOCHS_MAX = 16;

/** Characters of a hash that tell the epochs of one log apart. */
const HASH_LENGTH = 8;

const EPOCH = /^[a-z0-9.]{1,40}$/;

/** The metadata of a stream. */
export type Metadata = Readonly<Record<string, string>>;

/** Whether the metadata names the log. Otherwise its name comes from the time of its creation. */
export function namesLog(metadata: Metadata = {}): boolean {
  return metadata[EPOCH_KEY] !== undefined;
}

/**
 * The lineage that the metadata holds. A stream without it has the epoch that versions of Tidemark gave
 * it before they wrote metadata: the time of its creation.
 *
 * @throws Error where somebody else has changed the entries
 */
export function readLineage(metadata: Metadata = {}, createdMs: number): Lineage {
  const epoch = metadata[EPOCH_KEY];
  if (epoch === undefined) return { epoch: createdMs.toString(36) };
  if (!EPOCH.test(epoch))
    throw new Error(`The metadata ${EPOCH_KEY} of the stream cannot be read.`);
  const earlier = parseEarlier(metadata[EARLIER_KEY] ?? '');
  return earlier.length === 0 ? { epoch } : { epoch, earlier };
}

/** The entries of the metadata that hold a lineage. */
export function lineageMetadata({ epoch, earlier = [] }: Lineage): Metadata {
  return { [EPOCH_KEY]: epoch, [EARLIER_KEY]: formatEarlier(earlier) };
}

/**
 * The lineage of a log that lost its end: a new epoch, which shares the present one up to a sequence. The
 * new name follows from the old one and that sequence. Several processes that find the same loss
 * therefore give the same name.
 */
export function leaveEpoch({ epoch, earlier = [] }: Lineage, through: number): Lineage {
  const left = cut([...earlier, { epoch, through }], through);
  return { epoch: nextEpoch(epoch, String(through)), earlier: left.slice(-EARLIER_EPOCHS_MAX) };
}

/** A copy of the stream: what a backup restores, or a mirror that takes over. */
export interface StreamCopy {
  readonly lineage: Lineage;
  /** The last sequence that the copy has. */
  readonly through: number;
}

/**
 * The lineage of a log that goes on from a copy of its stream. It always begins a new epoch: nobody knows
 * which events were stored after the copy was made. The new epoch has a name of its own each time, because
 * a log can go on from one copy several times.
 *
 * @param known what archives and other streams of the log say about it. Their epochs are shared with the
 *   copy as far as they share its epoch; other logs are left out
 */
export function goOnFrom({ lineage, through }: StreamCopy, known: readonly Lineage[]): Lineage {
  const { epoch } = lineage;
  const found = known.flatMap((one) => {
    const shared = toPresent(one, { epoch, sequence: through })?.sequence;
    return shared === undefined ? [] : cut([...(one.earlier ?? []), endOf(one, shared)], shared);
  });
  const shared = new Map<string, number>();
  for (const one of [...cut(lineage.earlier ?? [], through), ...found, endOf(lineage, through)]) {
    shared.set(one.epoch, Math.max(one.through, shared.get(one.epoch) ?? 0));
  }
  const earlier = [...shared].map((one) => ({ epoch: one[0], through: one[1] }));
  const name = nextEpoch(epoch, `${through}:${randomUUID()}`);
  return { epoch: name, earlier: earlier.slice(-EARLIER_EPOCHS_MAX) };
}

function endOf({ epoch }: Lineage, through: number): EarlierEpoch {
  return { epoch, through };
}

function cut(epochs: readonly EarlierEpoch[], through: number): EarlierEpoch[] {
  return epochs.map((one) => ({ epoch: one.epoch, through: Math.min(one.through, through) }));
}

function nextEpoch(epoch: string, cause: string): string {
  const hash = createHash('sha256').update(`${epoch}:${cause}`).digest().readBigUInt64BE();
  const name = hash.toString(36).padStart(HASH_LENGTH, '0').slice(-HASH_LENGTH);
  return `${logOf(epoch)}.${name}`;
}
