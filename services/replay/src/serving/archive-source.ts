import {
  ANNOUNCED_RANGES_MAX,
  type ArchivePage,
  type ArchiveSource,
  PAGE_BYTES_MAX,
  PAGE_EVENTS_MAX,
} from '@tidemark/nats';
import {
  type ArchivedEvent,
  type ArchiveQuery,
  type EventsQuery,
  type LastAnswer,
  type LastQuery,
  type SequenceRange,
  TidemarkError,
  type TypeFilter,
} from '@tidemark/protocol';
import type { ArchiveSnapshot, ArchiveStore } from '../archive/archive-store.ts';
import { examinedPart, isEmpty } from '../sqlite/log-range.ts';
import { LastSearch } from './last-search.ts';
import { NewestMatch } from './newest-match.ts';

/** What the archive is served with. */
export interface ArchiveSourceOptions {
  /** Whether a range that the archive lacks is, or may be, in another archive. */
  readonly isElsewhere: (epoch: string, range: SequenceRange) => boolean;
  /** Types of tombstones; none if absent. */
  readonly tombstones?: TypeFilter | undefined;
}

/**
 * Answers the gateways' reads. Each is one step of a selection, so it never blocks for long. The pages of one
 * catch-up share the selection.
 */
export function createArchiveSource(
  store: ArchiveStore,
  options: ArchiveSourceOptions,
): ArchiveSource {
  const { isElsewhere } = options;
  return {
    bounds: () => store.snapshot().bounds,
    readPage: (query) => readPage(store, query),
    findNewest({ epoch, patterns, through, after, found }) {
      const { archive, bounds } = snapshotIn(store, epoch);
      if (through > bounds.lastSequence) {
        throw new TidemarkError('unavailable', 'The archive has not reached that event yet.');
      }
      return new NewestMatch({
        archive,
        patterns,
        through,
        isElsewhere: (range) => isElsewhere(epoch, range),
      }).step({ after, ...(found !== undefined && { found }) });
    },
    findLast: (query) => findLast(store, query, options),
    readEvents: (query) => readEvents(store, query),
    sequenceBefore: (timeMs) => store.snapshot().archive.sequenceBefore(timeMs),
  };
}

function readPage(store: ArchiveStore, query: ArchiveQuery): ArchivePage<ArchivedEvent> {
  const { archive, bounds } = snapshotIn(store, query.epoch);
  const range = { after: query.after, through: Math.min(query.through, bounds.lastSequence) };
  if (isEmpty(range)) return { events: [], through: query.after, missing: [] };
  const { patterns, types } = query;
  const selection = archive.select({ patterns, ...(types && { types }) }, query.after + 1);
  const { events, remaining } = selection.readPage({
    ...range,
    order: 'asc',
    eventsMax: Math.min(query.eventsMax, PAGE_EVENTS_MAX),
    bytesMax: Math.min(query.bytesMax, PAGE_BYTES_MAX),
  });
  return {
    events,
    through: remaining.after,
    missing: archive.missingRanges(examinedPart(range, remaining, 'asc')),
  };
}

function findLast(
  store: ArchiveStore,
  query: LastQuery,
  { isElsewhere, tombstones }: ArchiveSourceOptions,
): LastAnswer {
  const { epoch, patterns, types, reach, place } = query;
  const { archive, bounds } = snapshotIn(store, epoch);
  const { through = bounds.lastSequence } = query;
  if (Math.max(reach, through) > bounds.lastSequence) {
    throw new TidemarkError('unavailable', 'The archive has not reached that event yet.');
  }
  const missing = archive.missingRanges({ after: 0, through });
  if (missing.some((range) => isElsewhere(epoch, range))) {
    throw new TidemarkError('unavailable', 'A newer event may be in another archive.');
  }
  const criteria = { patterns, ...(types && { types }) };
  const step = new LastSearch({ archive, criteria, through, tombstones }).step(place);
  const isFirst = query.through === undefined;
  return { ...step, through, missing: isFirst ? fewer(missing) : [] };
}

/** The last of too many ranges become one, with what lies between them. */
function fewer(ranges: readonly SequenceRange[]): readonly SequenceRange[] {
  const first = ranges[ANNOUNCED_RANGES_MAX - 1];
  const last = ranges.at(-1);
  if (!first || !last) return ranges;
  return [...ranges.slice(0, ANNOUNCED_RANGES_MAX - 1), { from: first.from, to: last.to }];
}

function readEvents(
  store: ArchiveStore,
  { epoch, sequences, bytesMax }: EventsQuery,
): ArchivePage<ArchivedEvent> {
  const { archive, bounds } = snapshotIn(store, epoch);
  const [first = 1] = sequences;
  const last = sequences.at(-1) ?? 0;
  if (last > bounds.lastSequence) {
    throw new TidemarkError('unavailable', 'The archive has not reached that event yet.');
  }
  const { events, looked } = archive.readEvents(sequences, Math.min(bytesMax, PAGE_BYTES_MAX));
  const missing = archive
    .missingRanges({ after: first - 1, through: last })
    .filter(({ from, to }) => sequences.some((one) => from <= one && one <= to));
  return { events, through: sequences[looked - 1] ?? 0, missing };
}

/** @throws TidemarkError `invalid_cursor` where the archive belongs to another epoch */
function snapshotIn(store: ArchiveStore, epoch: string): ArchiveSnapshot {
  const snapshot = store.snapshot();
  if (epoch === snapshot.bounds.epoch) return snapshot;
  throw new TidemarkError('invalid_cursor', `The archive's epoch is ${snapshot.bounds.epoch}.`);
}
