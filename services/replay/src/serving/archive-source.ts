import {
  type ArchivePage,
  type ArchiveSource,
  PAGE_BYTES_MAX,
  PAGE_EVENTS_MAX,
} from '@tidemark/nats';
import { type ArchivedEvent, type ArchiveQuery, TidemarkError } from '@tidemark/protocol';
import type { ArchiveStore } from '../archive/archive-store.ts';
import { examinedPart, isEmpty } from '../sqlite/log-range.ts';

/**
 * Answers the gateways' reads. Each is one step of a selection, so it never blocks for long. The pages of one
 * catch-up share the selection.
 */
export function createArchiveSource(store: ArchiveStore): ArchiveSource {
  return {
    bounds: () => store.snapshot().bounds,
    readPage: (query) => readPage(store, query),
    sequenceBefore: (timeMs) => store.snapshot().archive.sequenceBefore(timeMs),
  };
}

function readPage(store: ArchiveStore, query: ArchiveQuery): ArchivePage<ArchivedEvent> {
  const { archive, bounds } = store.snapshot();
  if (query.epoch !== bounds.epoch) {
    throw new TidemarkError('invalid_cursor', `The archive's epoch is ${bounds.epoch}.`);
  }
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
