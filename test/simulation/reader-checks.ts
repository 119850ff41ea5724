import type { Position, Start } from '@tidemark/protocol';
import type { History } from './history.ts';
import type { Reader } from './reader.ts';
import { isSameView, type LogVersion, type StoredRecord } from './versions.ts';
import { ensure } from './violation.ts';

/* What readers are told of the log without an event: where they begin, and what is gone. */

/** The part of the world that readers can see. */
export interface Truth {
  readonly history: History;
  readonly clock: { readonly nowMs: number };
  /** Until when messages were lost, or servers were away or told what is over. */
  readonly troubledUntilMs: number;
  /** Whether neither the stream nor the archive has the event any more. */
  gone(record: StoredRecord): boolean;
}

/** How long a gateway waits for the stream's end, before it takes its own head for it. */
const END_WAIT_MS = 1000;

/** What a subscription asked for, and the state of the log at that moment. */
export interface Asked {
  readonly start: Start;
  readonly nowMs: number;
  /** The stream's last sequence then: the highest that `latest` may mean. */
  readonly lastSequence: number;
  /** The head of the gateway's log then. */
  readonly head: number;
  readonly first: number;
  /** The log as the gateway knew it then. */
  readonly version: LogVersion;
  /** The log as it was then. */
  readonly stored: LogVersion;
}

type Checked = Pick<Reader, 'id' | 'matches'>;

interface BegunStart {
  readonly asked: Asked;
  /** Where the subscription begins. */
  readonly to: Position;
  readonly version: LogVersion;
}

/** Checks that a subscription begins where it asked to. */
export function checkStart(
  reader: Checked,
  truth: Truth,
  { asked, to, version }: BegunStart,
): void {
  const { history } = truth;
  const { start, head, first, lastSequence, stored } = asked;
  const { sequence } = to;
  if (start.kind === 'latest') {
    const last = Math.max(head, lastSequence, history.highestIn(to.epoch));
    // A log that changed meanwhile may end earlier.
    const isSame = isSameView(asked.version, version);
    ensure((sequence >= head || !isSame) && sequence <= last, 'start', () => {
      return `${reader.id} wanted latest, which was ${head}, and got ${sequence}`;
    });
  }
  const early = (record: StoredRecord): boolean => {
    return start.kind === 'time' ? record.timeMs >= start.timeMs : start.kind === 'earliest';
  };
  for (const record of history.range(version, 0, sequence)) {
    const isLeft = !record.erasedBy && !truth.gone(record);
    const missed = early(record) && reader.matches(record) && isLeft;
    ensure(!missed, 'start', () => `${reader.id} got ${sequence}, after event ${record.sequence}`);
  }
  if (start.kind !== 'time') return;
  // What the stream answered about another view cannot be compared.
  const isSame = isSameView(stored, version) && isSameView(stored, history.version);
  const last =
    isSame && wasAnswered(asked, truth)
      ? lastSequence
      : isSameView(asked.version, version)
        ? head
        : 0;
  // What has left the stream meanwhile may have been late in the archive: then it is early.
  const after = Math.max(sequence, first - 1, history.firstSequence - 1);
  for (const record of history.range(version, after, last)) {
    const isLeft = !record.erasedBy && !truth.gone(record);
    const right = record.timeMs >= start.timeMs || !isLeft;
    ensure(right, 'start', () => `${reader.id} got ${sequence}, too early for ${start.timeMs}`);
  }
}

/** Whether the stream has told the gateway its true end since then, as far as it was asked. */
function wasAnswered({ nowMs }: Asked, { troubledUntilMs, clock }: Truth): boolean {
  return nowMs > troubledUntilMs && clock.nowMs - nowMs < END_WAIT_MS;
}

interface GoneRange {
  readonly version: LogVersion;
  readonly after: number;
  readonly through: number;
}

/** Checks that nothing of a gap can still be delivered. */
export function checkGone(
  reader: Checked,
  truth: Truth,
  { version, after, through }: GoneRange,
): void {
  for (const record of truth.history.range(version, after, through)) {
    const right = !reader.matches(record) || record.erasedBy || truth.gone(record);
    ensure(
      Boolean(right),
      'gap true',
      () => `${reader.id} was told a gap over ${record.sequence}: it exists`,
    );
  }
}
