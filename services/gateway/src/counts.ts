/**
 * What the hot path counts, as plain numbers: adding to a field costs a nanosecond, a metrics
 * library some hundreds. `metrics.ts` reads them at each scrape.
 */
export class Counts {
  feedEvents = 0;
  feedInvalid = 0;
  deliveries = 0;
  bytesOut = 0;
  writes = 0;
  fellBehind = 0;
  cohortOverflows = 0;
  catchUps = 0;
  catchUpTailEvents = 0;
  catchUpColdEvents = 0;
  coldReads = 0;
  coldReadsShared = 0;
  gaps = 0;
  passedOver = 0;
  stalled = 0;
  unresponsive = 0;
  heartbeats = 0;
}
