import { statSync } from 'node:fs';
import { formatCursor, type RebuildStatus } from '@tidemark/protocol';
import { type ServiceParts, startBulletins } from '@tidemark/service';
import { Growth } from '@tidemark/telemetry';
import type { ArchiveStore } from './archive/archive-store.ts';
import type { Reads } from './history/reads.ts';
import type { Rebuilder } from './rebuilding/rebuilder.ts';

/** Counting the events takes at most this part of the time, however many types there are. */
const COUNT_PART_MAX = 0.005;

/** What the figures of a replay are read from. */
export interface FigureOptions {
  readonly store: ArchiveStore;
  readonly reads: Reads;
  readonly rebuilder: Rebuilder;
  /** Events that the stream has and the archive lacks. */
  readonly lag: () => number;
  readonly ready: () => boolean;
}

/** Publishes the figures of this replay until it is stopped. */
export function publishFigures(parts: ServiceParts, options: FigureOptions): { stop(): void } {
  const { store, reads, rebuilder, lag, ready } = options;
  const read = () => ({ counters: { requests: reads.served }, histograms: {} });
  const growth = new Growth(read, performance.now());
  const countEvents = eventCounter(store);
  return startBulletins(parts, {
    service: 'replay',
    ready,
    sample: (nowMs) => growth.sample(nowMs),
    figures: () => {
      const { archive } = store;
      const { bounds } = archive;
      const isEmpty = !bounds || bounds.firstSequence > bounds.lastSequence;
      const cursorAt = (sequence: number) => formatCursor({ epoch: bounds?.epoch ?? '', sequence });
      return {
        position: bounds ? cursorAt(bounds.lastSequence) : null,
        first: isEmpty ? null : cursorAt(bounds.firstSequence),
        behind: lag(),
        events: countEvents(),
        bytes: statSync(archive.path, { throwIfNoEntry: false })?.size ?? 0,
        requestsPerSecond: growth.perSecond('requests'),
        rebuild: statusOf(rebuilder),
      };
    },
  });
}

/** Counts again when the last count took a small part of the time since then. */
function eventCounter(store: ArchiveStore): () => number {
  let events = 0;
  let nextMs = 0;
  return () => {
    const startMs = performance.now();
    if (startMs < nextMs || !store.archive.open) return events;
    events = store.archive.types.countAll();
    const tookMs = performance.now() - startMs;
    nextMs = startMs + tookMs / COUNT_PART_MAX;
    return events;
  };
}

function statusOf(rebuilder: Rebuilder): RebuildStatus | null {
  return rebuilder.begun ? rebuilder.status : null;
}
