import type { Metrics } from '@tidemark/telemetry';
import type { HeldTopics } from './held-topics.ts';
import type { Relay } from './relay.ts';
import type { Waits } from './waits.ts';

/** Whom the metrics are read from. */
export interface Observed {
  readonly relay: Relay;
  readonly waits: Waits;
  readonly held: HeldTopics;
}

/** The metrics of a relay. Those of the outbox are 0 at a relay that does not work, so their sum is right. */
export function observe(metrics: Metrics, { relay, waits, held }: Observed): void {
  metrics.gauge('relay_holds_lock', 'Whether this relay has the lock, and works.', () =>
    relay.holdsLock ? 1 : 0,
  );
  metrics.gauge(
    'relay_rows_waiting',
    'Rows that wait, counted every five seconds, up to 100,000.',
    () => relay.backlog.waiting,
  );
  metrics.gauge(
    'relay_rows_failed',
    'Rows that were set aside, counted every five seconds, up to 100,000.',
    () => relay.backlog.failed,
  );
  metrics.gauge(
    'relay_lag_seconds',
    'Age of the first row that waits, looked at every five seconds.',
    () => relay.backlog.ageMs / 1000,
  );
  metrics.gauge(
    'relay_topics_held',
    'Topics whose row failed and is tried again.',
    () => held.size,
  );
  metrics.gaugeBy(
    { name: 'relay_waiting', help: 'Whether the relay waits, by what for.', label: 'for' },
    () => waits.values,
  );
}
