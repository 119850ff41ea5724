import type { PublishAnswer, PublishAttempt } from '../history.ts';
import type { Published } from './acknowledged.ts';
import type { Place } from './lineage.ts';
import { type StoredTimes, storedTimes } from './order.ts';
import type { Publication } from './publications.ts';
import type { Findings } from './violation.ts';

const WON = 'a condition that was met';
const REFUSED = 'a condition that was refused';

/** The events of the final log, by topic, and the times at which they were stored. */
interface Chains extends Published {
  readonly byTopic: ReadonlyMap<string, readonly number[]>;
  readonly times: StoredTimes;
  readonly winners: Map<string, Publication>;
}

/**
 * Conditional appends are linearizable for each topic. One that was stored had the predecessor that it
 * named. One that was refused named a cursor that was the topic's last at some time within the call, and
 * not the one that the condition named.
 */
export function checkConditions(run: Published, found: Findings): void {
  const times = storedTimes(run.log);
  const chains: Chains = { ...run, byTopic: run.log.byTopic(), times, winners: new Map() };
  for (const publication of run.publications) {
    const { attempt, answer } = publication;
    if (attempt.condition === undefined || !answer) continue;
    if (answer.outcome === 'stored') checkMet(publication, chains, found);
    else if (answer.code === 'precondition_failed') checkRefused(publication, chains, found);
  }
}

function checkMet(publication: Publication, chains: Chains, found: Findings): void {
  const { attempt, answer } = publication;
  const { log } = chains;
  const { topic, id, condition } = attempt;
  if (!answer?.cursor) return;
  const place = log.places.find(answer.cursor);
  if (place.lost || place.foreign || log.idOf(place.sequence) !== id) return;
  const concern = { topic, id, attempt: attempt.attempt };
  checkContest(publication, chains, found);
  const before = lastBefore(chains.byTopic.get(topic) ?? [], place.sequence);
  const named = condition ? log.places.find(condition) : undefined;
  // What the log lost, or no longer holds, cannot be compared.
  if (named?.lost) return;
  const wanted = named?.sequence ?? 0;
  if (before === wanted) return;
  if (named && before < wanted && !holds(wanted, topic, chains, attempt.atMs)) return;
  if (!named && mayHaveLeft(before, answer.atMs, chains)) return;
  const text = `${id} was stored at ${answer.cursor} under the condition ${condition ?? 'that the topic is empty'}, and the last event of ${topic} before it is at ${before || 'none'}`;
  found.violate(WON, answer.atMs, text, concern);
}

/** Whether the stream may have been without an event at a time. */
function mayHaveLeft(
  sequence: number,
  atMs: number,
  { log, faults }: Pick<Chains, 'log' | 'faults'>,
): boolean {
  return sequence < log.streamFirst || faults.mayHaveLostStart(atMs);
}

/** Whether an event that a condition names has to be in the log, as one of the topic. */
function holds(sequence: number, topic: string, { log, faults }: Chains, atMs: number): boolean {
  if (log.topicOf(sequence) === topic) return true;
  return !(faults.mayHaveLostEnd(atMs) || (faults.mayLoseStart && log.hasLeft(sequence)));
}

/** Of the appends that name one predecessor, one wins. */
function checkContest(publication: Publication, { winners }: Chains, found: Findings): void {
  const { attempt, answer } = publication;
  if (attempt.condition === null) return;
  const key = `${attempt.topic} ${attempt.condition}`;
  const winner = winners.get(key);
  if (!winner) winners.set(key, publication);
  else if (winner.attempt.id !== attempt.id) {
    const text = `${winner.attempt.id} and ${attempt.id} were both stored after ${attempt.condition} of ${attempt.topic}`;
    const { topic, id, attempt: number } = attempt;
    found.violate('a contest has one winner', answer?.atMs ?? 0, text, {
      topic,
      id,
      attempt: number,
    });
  }
}

function checkRefused({ attempt, answer }: Publication, chains: Chains, found: Findings): void {
  if (!answer) return;
  const { topic, id, condition } = attempt;
  const told = answer.cursor ? chains.log.places.find(answer.cursor) : undefined;
  if (told?.lost) return;
  const why = isSame(condition, told, chains)
    ? 'which is its own condition'
    : whyNotLast(told, attempt, answer, chains);
  if (why === undefined) return;
  const text = `attempt ${attempt.attempt} of ${id} (condition ${condition}) was refused with ${answer.cursor ?? 'null'}, ${why}`;
  found.violate(REFUSED, answer.atMs, text, { topic, id, attempt: attempt.attempt });
}

/** Why a place cannot have been the topic's last within the call. Without a place: the topic was empty. */
function whyNotLast(
  told: Place | undefined,
  { topic, atMs }: PublishAttempt,
  answer: PublishAnswer,
  { log, faults, times, byTopic }: Chains,
): string | undefined {
  // Numbers that were lost and given again cannot be compared.
  if (faults.mayLoseEndAfter(atMs)) return undefined;
  if (told && log.topicOf(told.sequence) !== topic) {
    const hasGone = faults.mayLoseStart && log.hasLeft(told.sequence);
    return hasGone ? undefined : 'where the log has no event of the topic';
  }
  const sequence = told?.sequence ?? 0;
  if (told && times.notBefore(sequence) > answer.atMs) {
    return 'which was stored only after the answer';
  }
  const next = firstAfter(byTopic.get(topic) ?? [], sequence);
  // A topic is empty too when retention has removed its events from the stream.
  if (!next || (!told && mayHaveLeft(next, answer.atMs, { log, faults }))) return undefined;
  if (times.notAfter(next) >= atMs) return undefined;
  return `and ${log.idOf(next)} at ${next} had followed it before the attempt`;
}

function isSame(
  condition: string | null | undefined,
  told: Place | undefined,
  { log }: Chains,
): boolean {
  if (condition === null || condition === undefined) return told === undefined;
  const named = log.places.find(condition);
  return told !== undefined && !named.lost && named.sequence === told.sequence;
}

/** The highest of the sequences that is lower than `sequence`; 0 where there is none. */
function lastBefore(sequences: readonly number[], sequence: number): number {
  return sequences[lowerBound(sequences, sequence) - 1] ?? 0;
}

/** The lowest of the sequences that is higher than `sequence`; 0 where there is none. */
function firstAfter(sequences: readonly number[], sequence: number): number {
  return sequences[lowerBound(sequences, sequence + 1)] ?? 0;
}

/** The index of the first one that is not lower than `sequence`. */
function lowerBound(sequences: readonly number[], sequence: number): number {
  let low = 0;
  let high = sequences.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sequences[middle] ?? 0) < sequence) low = middle + 1;
    else high = middle;
  }
  return low;
}
