import type { StoredEvent } from '../history.ts';
import type { FinalLog, Store } from './log.ts';
import type { Findings } from './violation.ts';

const AT_THE_END = Number.POSITIVE_INFINITY;

/**
 * Archives equal each other and the log: each has every event that the stream or another archive holds, in
 * the same epoch, and nothing else. The stream has every event from its first sequence on.
 */
export function checkStores(
  stores: ReadonlyMap<string, Store>,
  log: FinalLog,
  found: Findings,
): void {
  for (const [name, { bounds, events }] of stores) {
    if (bounds.epoch !== log.places.epoch) {
      const text = `${name} is in epoch ${bounds.epoch}, the stream in ${log.places.epoch}`;
      found.violate('stores agree on the epoch', AT_THE_END, text, {});
    }
    const held = new Set<number>();
    for (const event of events) {
      checkEvent(name, event, log, found);
      if (held.has(event.sequence)) {
        const text = `${name} holds ${event.sequence} twice`;
        found.violate('stores are equal', AT_THE_END, text, concernOf(event));
      }
      held.add(event.sequence);
    }
    const first = name === 'stream' ? log.streamFirst : log.firstSequence;
    checkComplete(name, first, held, log, found);
  }
}

function checkEvent(name: string, event: StoredEvent, log: FinalLog, found: Findings): void {
  const { sequence, id, topic } = event;
  if (log.idOf(sequence) === id && log.topicOf(sequence) === topic) return;
  const other = `${log.idOf(sequence)} of ${log.topicOf(sequence)}`;
  const text = `${name} holds ${id} of ${topic} at ${sequence}, where another store holds ${other}`;
  found.violate('stores are equal', AT_THE_END, text, concernOf(event));
}

function checkComplete(
  name: string,
  first: number,
  held: ReadonlySet<number>,
  log: FinalLog,
  found: Findings,
): void {
  let missing = 0;
  let firstMissing = 0;
  for (let sequence = first; sequence <= log.lastSequence; sequence++) {
    if (!log.has(sequence) || held.has(sequence)) continue;
    missing++;
    firstMissing ||= sequence;
  }
  if (missing === 0) return;
  const topic = log.topicOf(firstMissing) ?? '';
  const id = log.idOf(firstMissing) ?? '';
  const text = `${name} lacks ${missing} events that another store holds, from ${firstMissing} (${id} of ${topic}) on`;
  found.violate('stores are equal', AT_THE_END, text, { topic, id });
}

function concernOf({ topic, id }: StoredEvent) {
  return { topic, id };
}
