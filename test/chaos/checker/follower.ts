import { parseStart, type Start } from '@tidemark/protocol';
import type {
  GapRecord,
  LiveRecord,
  SkippedRecord,
  SubscribedRecord,
  SubscribeRecord,
} from '../history.ts';
import { Coverage } from './coverage.ts';
import { whyFalseGap } from './gaps.ts';
import { isLossBetween, isSamePlace, type Place } from './lineage.ts';
import { whyWrongStart } from './starts.ts';
import type { Arrival, ArrivedEvent, Truth } from './truth.ts';

type State = 'away' | 'asked' | 'confirmed';

const HOLE = 'no hole';
const LOST_END = 'a lost end is told';
const OWED_GAP = 'a gap follows a start that cannot be kept';

/**
 * One subscription across all its connections. It keeps the cursor as the client does (PROTOCOL.md 4 to 7),
 * and compares each thing that arrives with the final log.
 */
export class Follower {
  readonly name: string;
  state: State = 'away';
  hasLeft = false;
  connection = '';
  askedMs = 0;
  /** When it was told `live` on its present connection. */
  liveMs: number | undefined;
  received = 0;
  readonly #truth: Truth;
  #matches: (topic: string) => boolean = () => false;
  #after = '';
  #start: Start = { kind: 'latest' };
  /** The acknowledged end of the log when it asked. */
  #askedEnd = 0;
  /** The client's cursor; `undefined` before the first `subscribed`. */
  #cursor: Place | undefined;
  /** Set while the client's cursor names what the log lost, which a gap has to tell. */
  #lost: Place | undefined;
  #owedGap: { readonly from: string; readonly to: string } | undefined;
  readonly #covered: Coverage;

  constructor(name: string, truth: Truth) {
    this.name = name;
    this.#truth = truth;
    this.#covered = new Coverage(truth);
  }

  ask(record: SubscribeRecord, askedEnd: number): void {
    const { after, connection, atMs, patterns, deliver, resumes } = record;
    this.state = 'asked';
    this.connection = connection;
    this.askedMs = atMs;
    this.liveMs = undefined;
    this.#matches = this.#truth.matcher(patterns);
    this.#covered.filter = this.#truth.log.filter(patterns);
    this.#covered.deliver = deliver;
    this.#owedGap = undefined;
    this.#covered.skips.begin();
    this.#askedEnd = askedEnd;
    this.#after = after ?? '';
    this.#start = parseStart(after);
    if (resumes) this.#checkResumes(after, record);
    else this.#forget(after);
  }

  leave(): void {
    this.state = 'away';
    this.#owedGap = undefined;
  }

  confirm(record: SubscribedRecord): void {
    const { cursor } = record;
    const after = this.#after;
    const { log } = this.#truth;
    const to = log.places.find(cursor);
    this.state = 'confirmed';
    if (this.#start.kind !== 'cursor') {
      const asked = { start: this.#start, end: this.#askedEnd, filter: this.#covered.filter };
      const why = whyWrongStart(asked, to, record.atMs, this.#truth);
      if (why) this.#violate('the start', record, `began after ${cursor}, ${why}`);
      this.#stand(to);
      return;
    }
    const asked = this.#cursor;
    if (after === cursor || (asked && isSamePlace(asked, to))) this.#cursor = to;
    else this.#owedGap = { from: after, to: cursor };
  }

  /**
   * Whether an event on its connection is for this subscription (section 6.4), or would be if the client had
   * been told that the log lost its end.
   */
  takes({ place, topic }: ArrivedEvent): boolean {
    if (this.state !== 'confirmed' || !this.#matches(topic)) return false;
    return this.#isAhead(place) || (this.#lost !== undefined && isLossBetween(this.#lost, place));
  }

  receive(event: ArrivedEvent): void {
    const { place, cursor, id, topic } = event;
    this.received++;
    this.#requireNoOwedGap(event, `got ${cursor}`);
    this.#approach(place, place.sequence - (place.lost ? 0 : 1), event, `before ${cursor}`);
    if (!place.lost) this.#checkContent(event);
    else if (this.#truth.topicOf(id) !== topic) {
      this.#violate('only events of the log', event, `got ${id} of ${topic}, never published`);
    }
    this.#covered.skips.receive(topic);
    this.#stand(place);
  }

  passHeartbeat(place: Place, cursor: string, arrival: Arrival): void {
    if (this.state !== 'confirmed' || !this.#cursor || !this.#isAhead(place)) return;
    this.#requireNoOwedGap(arrival, `got the heartbeat ${cursor}`);
    this.#approach(place, place.sequence, arrival, `up to the heartbeat ${cursor}`);
    this.#stand(place);
  }

  goLive(record: LiveRecord, moves: boolean): void {
    const { cursor } = record;
    const place = this.#truth.log.places.find(cursor);
    this.#requireNoOwedGap(record, 'is live');
    if (this.state !== 'confirmed') this.#violate('live once', record, 'is live before subscribed');
    if (this.liveMs !== undefined) this.#violate('live once', record, 'was told live twice');
    this.liveMs = record.atMs;
    this.#approach(place, place.sequence, record, `up to live at ${cursor}`);
    this.#checkNewest(record);
    if (moves && this.#isAhead(place)) this.#stand(place);
  }

  skip(record: SkippedRecord): void {
    const { cursor, count } = record;
    const place = this.#truth.log.places.find(cursor);
    this.#approach(place, place.sequence, record, `up to skipped at ${cursor}`);
    const why = this.#covered.skips.tell(count);
    const isLossy = place.lost || this.#truth.faults.mayHaveLostEnd(record.atMs);
    if (why && !isLossy) this.#violate('skipped adds up', record, `${why}, up to ${cursor}`);
  }

  passGap(gap: GapRecord): void {
    const { places } = this.#truth.log;
    const from = places.find(gap.from);
    const to = places.find(gap.to);
    if (this.#owedGap && (this.#owedGap.from !== gap.from || this.#owedGap.to !== gap.to)) {
      const text = `was owed a gap ${this.#owedGap.from} to ${this.#owedGap.to}, and got ${gap.from} to ${gap.to}`;
      this.#violate(OWED_GAP, gap, text);
    }
    this.#owedGap = undefined;
    const before = `before the gap from ${gap.from}`;
    if (gap.reason === 'expired') this.#approach(from, from.sequence, gap, before);
    // Events before the loss had to come.
    else if (gap.reason === 'future') this.#pass(Math.min(from.sequence, to.sequence), gap, before);
    const told = { gap, from, to, deliver: this.#covered.deliver, filter: this.#covered.filter };
    const why = whyFalseGap({ ...told, through: this.#covered.through }, this.#truth);
    if (why) this.#violate('gaps are true', gap, why);
    this.#covered.skips.passGap();
    this.#lost = undefined;
    this.#covered.through = to.sequence;
    this.#stand(to);
  }

  /** At the end, once it is live: it has everything that there is. */
  finish(arrival: Arrival): void {
    const { log } = this.#truth;
    this.#requireNoOwedGap(arrival, 'is at the end');
    if (this.#lost) this.#violate(LOST_END, arrival, 'was never told that the log lost its end');
    this.#pass(log.lastSequence, arrival, 'up to the end of the log');
    this.#checkNewest(arrival);
  }

  #forget(after: string | undefined): void {
    this.#lost = undefined;
    this.#covered.skips.forget();
    this.#cursor = undefined;
    this.#covered.through = 0;
    if (this.#start.kind !== 'cursor') return;
    const place = this.#truth.log.places.find(after ?? '');
    this.#covered.through = place.sequence;
    this.#stand(place);
  }

  #checkResumes(after: string | undefined, record: SubscribeRecord): void {
    const place = this.#start.kind === 'cursor' ? this.#truth.log.places.find(after ?? '') : null;
    const held = this.#cursor;
    const isOwn =
      place &&
      held &&
      place.raw >= held.raw &&
      (place.lost || place.sequence <= this.#covered.through);
    if (!isOwn) {
      const text = `came back at ${after}, and its cursor is ${held?.epoch}-${held?.raw}`;
      this.#violate('clients resume at their cursors', record, text);
      this.#forget(after);
    } else if (place.raw > held.raw) this.#stand(place);
  }

  /** Whether the client's cursor is lower than this place. */
  #isAhead(place: Place): boolean {
    const cursor = this.#cursor;
    if (!cursor) return false;
    return place.foreign || cursor.foreign || place.raw > cursor.raw;
  }

  #stand(place: Place): void {
    this.#cursor = place;
    this.#lost = place.lost ? place : undefined;
    this.#covered.through = Math.max(this.#covered.through, place.sequence);
  }

  /** Goes on to a place of the log, of which everything up to `through` has to have come. */
  #approach(place: Place, through: number, arrival: Arrival, what: string): void {
    if (place.foreign) {
      this.#violate('only the present log', arrival, `got a cursor of ${place.epoch} (${what})`);
      return;
    }
    if (this.#lost && isLossBetween(this.#lost, place)) {
      const text = `went from ${this.#lost.epoch}-${this.#lost.raw}, which the log lost, on to ${place.epoch} without a gap (${what})`;
      this.#violate(LOST_END, arrival, text);
      this.#lost = undefined;
    }
    if (!this.#lost) this.#pass(through, arrival, what);
  }

  /** Checks that every matching event up to and including a sequence has come. */
  #pass(through: number, arrival: Arrival, what: string): void {
    const hole = this.#covered.pass(through, arrival.atMs);
    if (!hole) return;
    const { missing, first, from } = hole;
    const { log } = this.#truth;
    const topic = log.topicOf(first) ?? '';
    const id = log.idOf(first) ?? '';
    const text = `lacks ${missing} events, the first ${id} of ${topic} at ${first} (${what}; it had everything up to ${from})`;
    this.#violate(HOLE, arrival, text, { topic, id });
  }

  #checkContent(event: ArrivedEvent): void {
    const { place, id, topic, cursor } = event;
    const { log, faults, found } = this.#truth;
    const held = log.idOf(place.sequence);
    if (held === id && log.topicOf(place.sequence) === topic) return;
    if (this.#truth.topicOf(id) === topic) {
      if (faults.mayLoseStart && log.hasLeft(place.sequence)) return;
      if (faults.mayLoseEndAfter(event.atMs)) {
        found.except('numbers that were lost and given again');
        return;
      }
    }
    const text = `got ${id} of ${topic} at ${cursor}, where the log has ${held ?? 'nothing'}`;
    this.#violate('only events of the log', event, text, { topic, id });
  }

  #requireNoOwedGap(arrival: Arrival, what: string): void {
    if (!this.#owedGap) return;
    const { from, to } = this.#owedGap;
    this.#owedGap = undefined;
    this.#violate(OWED_GAP, arrival, `${what} and was owed a gap ${from} to ${to}`);
    this.#stand(this.#truth.log.places.find(to));
  }

  /** Once it is current, a newer event has come for each topic with a skipped one. */
  #checkNewest(arrival: Arrival): void {
    const awaited = this.#covered.skips.takeAwaited();
    if (!awaited) return;
    const { topic, sequence } = awaited;
    const text = `lacks the newest event of ${topic}, at ${sequence} or later`;
    this.#violate('the newest of each topic', arrival, text, { topic });
  }

  #violate(
    check: string,
    { atMs, connection }: Arrival,
    text: string,
    concern: { topic?: string; id?: string } = {},
  ): void {
    const all = { subscription: this.name, connection, ...concern };
    this.#truth.found.violate(check, atMs, `${this.name} ${text}`, all);
  }
}
