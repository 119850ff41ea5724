import type { FinalLog } from './log.ts';
import type { Findings } from './violation.ts';

/**
 * The order of the log agrees with real time: an event whose first attempt began after another one had been
 * acknowledged comes after it. So the appends to each topic are linearizable.
 */
export function checkOrder(log: FinalLog, found: Findings): void {
  let earliest = Number.POSITIVE_INFINITY;
  let earliestAt = 0;
  for (let sequence = log.lastSequence; sequence >= log.firstSequence; sequence--) {
    if (log.idOf(sequence) === undefined) continue;
    const attemptMs = log.attemptMsOf(sequence);
    if (attemptMs > earliest) {
      const id = log.idOf(sequence) ?? '';
      const topic = log.topicOf(sequence) ?? '';
      const text = `${id} of ${topic} is at ${sequence}, before ${log.idOf(earliestAt)} at ${earliestAt}, which was acknowledged before the first attempt of ${id}`;
      found.violate('order of the log', attemptMs, text, { id, topic });
    }
    if (log.storedMsOf(sequence) < earliest) {
      earliest = log.storedMsOf(sequence);
      earliestAt = sequence;
    }
  }
}

/** When each event of the log was stored: not before, and not after. Both are sharper than its own answer. */
export interface StoredTimes {
  notBefore(sequence: number): number;
  notAfter(sequence: number): number;
}

/** Times from the attempts and answers of all events: what is earlier in the log was stored earlier. */
export function storedTimes(log: FinalLog): StoredTimes {
  const { firstSequence, lastSequence } = log;
  const size = Math.max(0, lastSequence - firstSequence + 1);
  const lower = new Float64Array(size);
  const upper = new Float64Array(size);
  let bound = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < size; index++) {
    bound = Math.max(bound, log.attemptMsOf(firstSequence + index));
    lower[index] = bound;
  }
  bound = Number.POSITIVE_INFINITY;
  for (let index = size - 1; index >= 0; index--) {
    bound = Math.min(bound, log.storedMsOf(firstSequence + index));
    upper[index] = bound;
  }
  return {
    notBefore: (sequence) => lower[sequence - firstSequence] ?? Number.NEGATIVE_INFINITY,
    notAfter: (sequence) => upper[sequence - firstSequence] ?? Number.POSITIVE_INFINITY,
  };
}
