import { TidemarkError } from '@tidemark/protocol';
import type { ArchiveSnapshot } from '../archive/archive-store.ts';
import { withId } from '../selection/event-id.ts';
import { isEmpty } from '../sqlite/log-range.ts';

/** What one synchronous step looks at, at most. */
const STEP_EVENTS_MAX = 500;
const STEP_BYTES_MAX = 256 * 1024;

/**
 * Finds the events with a source and an id, whatever their topics and publishers. There is no index on ids, so it
 * looks at all events of the source.
 *
 * @param runStep runs a step of some milliseconds when it is its turn
 * @returns their sequences, in order
 * @throws TidemarkError `unavailable` where the stream is replaced meanwhile; what `runStep` throws
 */
export async function findEvents(
  { archive, bounds }: ArchiveSnapshot,
  { source, id }: { readonly source: string; readonly id: string },
  runStep: <T>(step: () => T) => Promise<T>,
): Promise<number[]> {
  const isWanted = withId(id);
  const found: number[] = [];
  let left = { after: 0, through: bounds.lastSequence };
  while (!isEmpty(left)) {
    const range = left;
    left = await runStep(() => {
      if (!archive.open) {
        throw new TidemarkError('unavailable', 'The stream was replaced during the search.');
      }
      const selection = archive.select({ patterns: ['>'], source }, range.after + 1);
      const page = selection.readPage({
        ...range,
        order: 'asc',
        eventsMax: STEP_EVENTS_MAX,
        bytesMax: STEP_BYTES_MAX,
      });
      found.push(...page.events.filter(isWanted).map(({ sequence }) => sequence));
      return page.remaining;
    });
  }
  return found;
}
