import {
  type ArchivedEvent,
  type ArchivePage,
  type ArchiveQuery,
  type ArchiveSource,
  PAGE_BYTES_MAX,
  PAGE_EVENTS_MAX,
} from '@tidemark/nats';
import { parsePatterns, TidemarkError } from '@tidemark/protocol';
import type { Shelf } from './archive/shelf.ts';
import { examined, isEmpty } from './archive/windows.ts';

/** Answers the gateways' reads: each is one step of a selection, so it never blocks for long. */
export function archiveSource(shelf: Shelf): ArchiveSource {
  return {
    state() {
      const { epoch, firstSequence, sequence } = shelf.standing().position;
      return { epoch, firstSequence, lastSequence: sequence };
    },
    read: (query) => read(shelf, query),
    sequenceAt: (timeMs) => shelf.archive.sequenceAt(timeMs),
  };
}

function read(shelf: Shelf, query: ArchiveQuery): ArchivePage<ArchivedEvent> {
  const { archive, position } = shelf.standing();
  check(query);
  if (query.epoch !== position.epoch) {
    throw new TidemarkError('invalid_cursor', `The archive's epoch is ${position.epoch}.`);
  }
  const range = { after: query.after, through: Math.min(query.through, position.sequence) };
  if (isEmpty(range)) return { events: [], through: query.after, missing: [] };
  const { rows, remaining } = archive.select({ patterns: query.patterns }).read({
    ...range,
    order: 'asc',
    eventsMax: Math.min(query.eventsMax, PAGE_EVENTS_MAX),
    bytesMax: Math.min(query.bytesMax, PAGE_BYTES_MAX),
  });
  return {
    events: rows,
    through: remaining.after,
    missing: archive.missing(examined(range, remaining, 'asc')),
  };
}

/** Another version of the gateway may ask; nothing it sends may reach SQLite unchecked. */
function check({ patterns, after, through, eventsMax, bytesMax }: ArchiveQuery): void {
  if (!Array.isArray(patterns)) throw new TidemarkError('invalid_query', 'patterns is no list.');
  parsePatterns(patterns);
  const numbers = { after, through, eventsMax, bytesMax };
  for (const [name, value] of Object.entries(numbers)) {
    const min = name.endsWith('Max') ? 1 : 0;
    if (!Number.isSafeInteger(value) || value < min) {
      throw new TidemarkError('invalid_query', `${name} is no whole number of at least ${min}.`);
    }
  }
}
