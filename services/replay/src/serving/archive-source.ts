import {
  type ArchivePage,
  type ArchiveSource,
  PAGE_BYTES_MAX,
  PAGE_EVENTS_MAX,
} from '@tidemark/nats';
import {
  type ArchivedEvent,
  type ArchiveQuery,
  type SequenceRange,
  TidemarkError,
} from '@tidemark/protocol';
import type { ArchiveSnapshot, ArchiveStore } from '../archive/archive-store.ts';
import { examinedPart, isEmpty } from '../sqlite/log-range.ts';
import { NewestMatch } from './newest-match.ts';

/**
 * Answers the gateways' reads. Each is one step of a selection, so it never blocks for long. The pages of one
 * catch-up share the selection.
 */
export function createArchiveSource(
  store: ArchiveStore,
  isElsewhere: (epoch: string, range: SequenceRange) => boolean,
): ArchiveSource {
  return {
    bounds: () => store.snapshot().bounds,
    readPage: (query) => readPage(store, query),
    findNewest({ epoch, patterns, through, after }) {
      const { archive, bounds } = snapshotIn(store, epoch);
      if (through > bounds.lastSequence) {
        throw new TidemarkError('unavailable', 'The archive has not reached that event yet.');
      }
      return new NewestMatch({
        archive,
        patterns,
        through,
        isElsewhere: (range) => isElsewhere(epoch, range),
      }).step(after);
    },
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

/** @throws TidemarkError `invalid_cursor` where the archive belongs to another epoch */
function snapshotIn(store: ArchiveStore, epoch: string): ArchiveSnapshot {
  const snapshot = store.snapshot();
  if (epoch === snapshot.bounds.epoch) return snapshot;
  throw new TidemarkError('invalid_cursor', `The archive's epoch is ${snapshot.bounds.epoch}.`);
}
