import { Histogram } from '@tidemark/telemetry';

/** Milliseconds from the append to the write. */
const LAG_BOUNDS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 60_000];
const BATCH_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/**
 * The counters of the hot path, as plain numbers. Adding to a field takes a nanosecond; a metrics
 * library takes some hundreds. `observability/metrics.ts` reads them at each scrape.
 */
export class Counters {
  feedEvents = 0;
  feedInvalid = 0;
  deliveries = 0;
  bytesOut = 0;
  writes = 0;
  fellBehind = 0;
  catchUps = 0;
  catchUpTailEvents = 0;
  catchUpColdEvents = 0;
  coldReads = 0;
  coldReadsShared = 0;
  coldReadsLeft = 0;
  streamScans = 0;
  gaps = 0;
  skipped = 0;
  stalled = 0;
  unresponsive = 0;
  heartbeats = 0;
  feedBytes = 0;
  feedRestarts = 0;
  /** Age of the last event when it arrived. */
  feedLagMs = 0;
  /** The time from append to last write of events, in ms, for live connections. */
  readonly deliveryLagMs = new Histogram(LAG_BOUNDS_MS);
  readonly writeEvents = new Histogram(BATCH_BOUNDS);
}
