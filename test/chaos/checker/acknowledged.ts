import type { Faults } from './faults.ts';
import type { FinalLog } from './log.ts';
import { isAcknowledged, type Publication, type Publications } from './publications.ts';
import type { Findings } from './violation.ts';

/** The parts of a run that the checks of publishing look at. */
export interface Published {
  readonly log: FinalLog;
  readonly publications: Publications;
  readonly faults: Faults;
  readonly duplicatesMs: number;
}

const UNTOLD = 'an acknowledged event was lost, and the epoch stayed';

/** As NATS itself acknowledges. */
const WITHOUT_CURSOR = 'an event was lost whose acknowledgement had no cursor';

/** Each acknowledged event is in the log exactly once, under the cursor that was told. */
export function checkAcknowledged(run: Published, found: Findings): void {
  const sequences = checkUnique(run, found);
  for (const publication of run.publications) {
    if (isAcknowledged(publication)) checkStored(publication, sequences, run, found);
  }
  checkRefused(run, sequences, found);
}

/** Finds each event's sequences, and checks that the log has only what was published, once. */
function checkUnique(run: Published, found: Findings): Map<string, number> {
  const { log, publications, duplicatesMs } = run;
  const sequences = new Map<string, number>();
  for (let sequence = log.firstSequence; sequence <= log.lastSequence; sequence++) {
    const id = log.idOf(sequence);
    const topic = log.topicOf(sequence);
    if (id === undefined || topic === undefined) continue;
    const event = publications.events.get(id);
    const atMs = event?.publications[0]?.attempt.atMs ?? 0;
    if (event?.topic !== topic) {
      const text = `the log holds ${id} of ${topic} at ${sequence}, which nobody published`;
      found.violate('only what was published', atMs, text, { topic, id });
    }
    const before = sequences.get(id);
    if (before === undefined) sequences.set(id, sequence);
    else if (log.timeMsOf(sequence) - log.timeMsOf(before) <= duplicatesMs) {
      const text = `the log holds ${id} of ${topic} at ${before} and again at ${sequence}`;
      found.violate('stored once', atMs, text, { topic, id });
    }
  }
  return sequences;
}

function checkStored(
  { attempt, answer }: Publication,
  sequences: ReadonlyMap<string, number>,
  { log, faults }: Published,
  found: Findings,
): void {
  const { id, topic } = attempt;
  const cursor = answer?.cursor;
  const atMs = answer?.atMs ?? attempt.atMs;
  const stored = sequences.get(id);
  const place = cursor ? log.places.find(cursor) : undefined;
  const concern = { id, topic, attempt: attempt.attempt };
  if (place && !place.foreign && !place.lost && log.idOf(place.sequence) === id) return;
  if (!place && stored !== undefined) return;
  const lossy = faults.mayLoseEndAfter(attempt.atMs);
  const isTold = place?.lost === true;
  if (lossy && !isTold) found.except(cursor ? UNTOLD : WITHOUT_CURSOR);
  if (lossy) return;
  if (faults.mayLoseStart && place && !place.lost && log.hasLeft(place.sequence)) return;
  if (faults.mayLoseStart && !place) {
    found.except(WITHOUT_CURSOR);
    return;
  }
  if (stored !== undefined && isTold && faults.mayNotKnowLoss(atMs)) {
    found.except('an acknowledgement of a server that started after a loss');
    return;
  }
  if (stored !== undefined) {
    const text = `attempt ${attempt.attempt} of ${id} was answered with ${cursor}, and the log holds it at ${stored}`;
    found.violate('the cursor of an acknowledgement', atMs, text, concern);
    return;
  }
  const text = `${id} of ${topic} was acknowledged (${answer?.outcome} ${cursor}), and the log lacks it`;
  found.violate('acknowledged events are kept', atMs, text, concern);
}

/** An event whose attempts were all refused is not in the log. */
function checkRefused(
  { publications }: Published,
  sequences: ReadonlyMap<string, number>,
  found: Findings,
): void {
  for (const { id, topic, publications: attempts } of publications.events.values()) {
    const stored = sequences.get(id);
    if (stored === undefined) continue;
    if (!attempts.every(({ answer }) => answer?.outcome === 'refused')) continue;
    const { answer } = attempts.at(-1) ?? {};
    const text = `${id} of ${topic} was refused (${answer?.code}), and the log holds it at ${stored}`;
    found.violate('refused events are not stored', answer?.atMs ?? 0, text, { id, topic });
  }
}
