import {
  type Deliver,
  formatCursor,
  isSameLog,
  logOf,
  matches,
  type Position,
  parseCursor,
  toPresent,
} from '@tidemark/protocol';
import { AwaitedLast } from './awaited-last.ts';
import { checkErased, checkNotErased } from './erasure-checks.ts';
import { type Asked, checkGone, checkStart, type Truth } from './reader-checks.ts';
import type { LogVersion, StoredRecord } from './versions.ts';
import { ensure } from './violation.ts';

const EVERYWHERE = { after: 0, to: Number.POSITIVE_INFINITY };

export interface ReaderOptions {
  readonly patterns: readonly string[];
  /** All types if `undefined`. */
  readonly types: readonly string[] | undefined;
  readonly deliver: Deliver;
  readonly truth: Truth;
}

export type ReaderState = 'away' | 'asked' | 'confirmed';

/**
 * One subscription of one client, across all its connections. It keeps its cursor as PROTOCOL.md
 * sections 5 and 6.4 say, and checks at each step that no event is missing, wrong or duplicate.
 */
export class Reader {
  readonly id: string;
  readonly patterns: readonly string[];
  readonly types: readonly string[] | undefined;
  /** With `latest` only the newest event of each topic has to come while it is behind. */
  readonly deliver: Deliver;
  state: ReaderState = 'away';
  /** Whether its client has unsubscribed and the gateway's answer has not arrived yet. */
  closing = false;
  live = false;
  cursor: Position | undefined;
  received = 0;
  readonly #truth: Truth;
  readonly #matched = new Map<string, boolean>();
  /** Topics with a skipped event, for which a newer one has to come. */
  readonly #awaited = new Map<string, number>();
  /** Those of them that were skipped on the present connection. Its gateway knows of no others. */
  readonly #skipped = new Map<string, number>();
  /** Events skipped since the last `skipped`. */
  #untold = 0;
  /** Whether some of these may be lost by now. The gateway counted them while they existed. */
  #lossy = false;
  /** The view of the log that has what its cursor names. */
  #view = 0;
  /** Views whose loss it passed without a word, because its gateway could not know of it. */
  readonly #untoldLosses = new Map<number, number>();
  /** Whether its start comes from a stream that has lost its end, which its gateway has yet to see. */
  #isAhead = false;
  #asked: Asked | undefined;
  /** Set from `subscribed` until the last events before its start have come. */
  #last: AwaitedLast | undefined;
  /** Set when `subscribed` had another cursor than was asked for. A gap has to follow at once. */
  #owedGap: { readonly from: Position; readonly to: Position } | undefined;

  constructor(id: string, { patterns, types, deliver, truth }: ReaderOptions) {
    this.id = id;
    this.patterns = patterns;
    this.types = types;
    this.deliver = deliver;
    this.#truth = truth;
  }

  matches({ topic, type }: Pick<StoredRecord, 'topic' | 'type'>): boolean {
    const key = `${topic} ${type}`;
    let answer = this.#matched.get(key);
    if (answer === undefined) {
      answer =
        this.patterns.some((pattern) => matches(pattern, topic)) &&
        (this.types?.some((name) => matchesType(name, type)) ?? true);
      this.#matched.set(key, answer);
    }
    return answer;
  }

  ask(asked: Asked): void {
    this.state = 'asked';
    this.live = false;
    this.#owedGap = undefined;
    this.#asked = asked;
    this.#isAhead = false;
    this.#untold = 0;
    this.#skipped.clear();
    const { start } = asked;
    const own = start.kind === 'cursor' && start.position === this.cursor;
    if (own) return;
    // A new start forgets the events that it had.
    this.cursor = undefined;
    this.#awaited.clear();
    this.#untoldLosses.clear();
    const { history } = this.#truth;
    this.#view =
      start.kind === 'cursor' ? history.viewOf(start.position.epoch) : history.version.view;
  }

  leave(): void {
    // Within the last events there is no cursor to come back with.
    if (this.#last) this.cursor = undefined;
    this.#last = undefined;
    this.state = 'away';
    this.closing = false;
    this.#asked = undefined;
  }

  /** Called for `subscribed`: the subscription begins after this cursor. */
  confirm(cursor: string, version: LogVersion): void {
    ensure(this.state === 'asked', 'subscribed', () => `${this.id} had not asked`);
    const asked = this.#asked;
    if (!asked) throw new Error('A reader that asked knows what.');
    const to = this.#read(cursor, version);
    this.state = 'confirmed';
    const { start } = asked;
    if (start.kind === 'cursor') {
      const { position } = start;
      const present = toPresent(version.lineage, position);
      const goesOn = present && !present.lost && present.sequence === to.sequence;
      if (goesOn) this.#resume(position, version, asked);
      else this.#owedGap = { from: position, to };
      if (present?.lost) {
        ensure(to.sequence === present.sequence, 'gap true', () => {
          return `${this.id} is at ${formatCursor(position)} and was sent to ${cursor}`;
        });
      }
      return;
    }
    checkStart(this, this.#truth, { asked, to, version });
    this.cursor = to;
    if (start.kind === 'last') {
      this.#last = new AwaitedLast(this, { through: to.sequence, version, askedMs: asked.nowMs });
    }
    // A start beyond what the gateway knows comes from the stream.
    const { stored } = asked;
    this.#isAhead = isSameLog(stored.epoch, to.epoch) && stored.view > version.view;
    this.#view = this.#isAhead ? stored.view : version.view;
  }

  /** Called for each of the last events before its start. */
  receiveLast(record: StoredRecord): void {
    const last = this.#last;
    ensure(this.state === 'confirmed' && last !== undefined, 'last', () => {
      return `${this.id} got ${record.sequence} as a last event, and waits for none`;
    });
    checkErased(this.id, record, this.#asked);
    last?.receive(record);
    this.received++;
  }

  /** Whether the next gap is about what the last events may lack. */
  #isLastGap({ sequence }: Position, reason: string): boolean {
    return this.#last !== undefined && reason === 'expired' && sequence <= this.#last.through;
  }

  #passLastGap(from: Position, to: Position, version: LogVersion): void {
    checkGone(this, this.#truth, { version, after: from.sequence, through: to.sequence });
    this.#last?.passGap({ from: from.sequence + 1, to: to.sequence });
  }

  /** Called for whatever comes behind the last events: all have come then. */
  #endLast(version: LogVersion): void {
    const last = this.#last;
    this.#last = undefined;
    last?.check(this.#truth, version);
  }

  /** Called for each event on its connection. @returns whether the event is for this reader */
  receive(record: StoredRecord, position: Position, version: LogVersion): boolean {
    if (this.state !== 'confirmed' || !this.matches(record)) return false;
    ensure(!this.#owedGap, 'gap told', () => `${this.id} got an event before the gap it was owed`);
    const { cursor } = this;
    if (!cursor) throw new Error('A confirmed reader has a cursor.');
    const isSame = isSameLog(cursor.epoch, position.epoch);
    if (isSame && position.sequence <= cursor.sequence) return false;
    this.#endLast(version);
    checkErased(this.id, record, this.#asked);
    const has = this.#truth.history.has(version, record);
    // An archive that has yet to be aligned may still give what the log has lost.
    const seen = has ? version : { ...version, view: record.view, blind: EVERYWHERE };
    this.#pass(position.sequence - 1, position, seen, 'no hole');
    this.#move(position, version);
    if (!has) this.#noteUntold(position, record.view, version);
    this.#awaited.delete(record.topic);
    this.#skipped.delete(record.topic);
    this.received++;
    return true;
  }

  passGap(gap: { from: string; to: string; reason: string }, version: LogVersion): void {
    const from = parseCursor(gap.from);
    const to = this.#read(gap.to, version);
    if (this.#isLastGap(to, gap.reason)) {
      this.#passLastGap(from, to, version);
      return;
    }
    this.#endLast(version);
    if (this.#owedGap) {
      const owed = this.#owedGap;
      this.#owedGap = undefined;
      const right = formatCursor(owed.from) === gap.from && formatCursor(owed.to) === gap.to;
      ensure(
        right,
        'gap told',
        () => `${this.id} was owed another gap than ${JSON.stringify(gap)}`,
      );
      this.cursor ??= owed.from;
    }
    if (gap.reason === 'epoch') this.#passEpoch(from, to, version);
    else if (gap.reason === 'future') this.#passFuture(from, to, version);
    else this.#passExpired(from, to, version);
    this.#lossy ||= gap.reason !== 'expired';
    this.#awaited.clear();
    this.#skipped.clear();
    this.#move(to, version);
  }

  /** Called for `skipped`, which counts the events up to a cursor that were skipped for newer ones. */
  skip(count: number, cursor: string, version: LogVersion): void {
    const position = this.#read(cursor, version);
    this.#pass(position.sequence, position, version, 'skipped');
    // Until its feed starts again, a gateway may read a stream that has lost its end and grown again.
    const { history } = this.#truth;
    const known = history.cutTo(position.epoch, version.view, history.version.view);
    const isOther = isSameLog(history.version.epoch, position.epoch) && known < position.sequence;
    ensure(
      count === this.#untold || this.#lossy || isOther,
      'skipped',
      () => `${this.id} was told ${count} of ${this.#untold}`,
    );
    this.#untold = 0;
    this.#lossy = false;
  }

  /** Called for a heartbeat. Every subscription of the connection has passed its cursor. */
  passHeartbeat(cursor: string, version: LogVersion): void {
    if (this.state !== 'confirmed' || !this.cursor) return;
    const position = this.#read(cursor, version);
    this.#endLast(version);
    const isSame = isSameLog(position.epoch, this.cursor.epoch);
    if (isSame && position.sequence <= this.cursor.sequence) return;
    this.#pass(position.sequence, position, version, 'heartbeat');
    this.#move(position, version);
  }

  /** @param moves whether the transport makes this cursor the client's own */
  goLive(cursor: string, version: LogVersion, moves: boolean): void {
    ensure(this.state === 'confirmed', 'live', () => `${this.id} is live and was never confirmed`);
    ensure(!this.live, 'live', () => `${this.id} was told live twice`);
    this.live = true;
    this.#endLast(version);
    const position = this.#read(cursor, version);
    const behind =
      this.cursor !== undefined &&
      isSameLog(this.cursor.epoch, position.epoch) &&
      position.sequence < this.cursor.sequence;
    ensure(!behind, 'live', () => `${this.id} was told live at ${cursor}, behind its own cursor`);
    this.#pass(position.sequence, position, version, 'live');
    this.#checkNewest('live', version);
    if (moves) this.#move(position, version);
  }

  /** At the end: whether it has everything there is. */
  checkComplete(version: LogVersion): void {
    const at = this.cursor ? formatCursor(this.cursor) : 'no cursor';
    ensure(this.state === 'confirmed' && this.live && !this.closing, 'settled', () => {
      return `${this.id} is ${this.state}, live: ${this.live}, at ${at}`;
    });
    const position = { epoch: version.epoch, sequence: Number.MAX_SAFE_INTEGER };
    this.#pass(position.sequence, position, version, 'settled');
    this.#checkNewest('settled', version);
    for (const [view, through] of this.#untoldLosses) {
      const isTold = this.#truth.history.isTold(version.epoch, view);
      ensure(!isTold, 'gap told', () => `${this.id} was never told of the loss after ${through}`);
    }
  }

  #resume(position: Position, version: LogVersion, { head, lastSequence }: Asked): void {
    const { epoch, sequence } = position;
    const before = this.cursor;
    this.cursor = position;
    const { history } = this.#truth;
    const common = history.cutTo(epoch, this.#view, version.view);
    const last = Math.max(head, lastSequence, history.lastSequence);
    // Where this gateway has yet to see a new stream, the gap comes with that.
    const changed = history.version.epoch !== epoch;
    const told = !before || changed || sequence <= common || sequence <= last;
    ensure(told, 'gap told', () => `${this.id} resumed at ${sequence}, beyond the end ${last}`);
    for (const [view, through] of this.#untoldLosses) {
      if (sequence <= through) this.#untoldLosses.delete(view);
    }
    // Beyond what the gateway knows, the cursor is one of the stream as it is.
    this.#isAhead = this.#view > version.view && sequence > head;
    if (this.#isAhead) return;
    this.#noteUntold(position, this.#view, version);
    this.#view = version.view;
  }

  /**
   * Notes the losses between two views that a position beyond them passes without a gap. They have to be
   * told as soon as an epoch of the log tells them.
   */
  #noteUntold({ sequence, epoch }: Position, view: number, version: LogVersion): void {
    const { history } = this.#truth;
    for (const loss of history.losses(epoch, view, version.view)) {
      if (sequence <= loss.through) continue;
      ensure(!history.tells(version.epoch, loss.view), 'gap told', () => {
        return `${this.id} passed ${sequence} in ${version.epoch}, which tells the loss after ${loss.through}`;
      });
      this.#untoldLosses.set(loss.view, loss.through);
      this.#lossy = true;
    }
  }

  #passExpired(from: Position, to: Position, version: LogVersion): void {
    ensure(to.sequence > from.sequence && isSameLog(to.epoch, from.epoch), 'gap true', () => {
      return `${this.id} was told an empty gap ${from.sequence} to ${to.sequence}`;
    });
    this.#pass(from.sequence, from, version, 'no hole');
    const after = Math.max(from.sequence, this.cursor?.sequence ?? 0);
    const ahead = this.cursor !== undefined && this.cursor.sequence >= to.sequence;
    ensure(!ahead, 'gap true', () => `${this.id} was told a gap that it had passed`);
    checkNotErased(this, this.#truth.history, { version, after, through: to.sequence });
    checkGone(this, this.#truth, { version, after: after, through: to.sequence });
  }

  #passEpoch(from: Position, to: Position, version: LogVersion): void {
    const { epochs } = this.#truth.history;
    const later = epochs.indexOf(to.epoch) > epochs.indexOf(from.epoch);
    const isOther = !isSameLog(from.epoch, to.epoch);
    this.#untoldLosses.clear();
    ensure(
      later && isOther,
      'gap true',
      () => `${this.id} was sent from ${from.epoch} to ${to.epoch}`,
    );
    ensure(logOf(from.epoch) === logOf(this.cursor?.epoch ?? ''), 'gap true', () => {
      return `${this.id} was told a gap from ${from.epoch}, and is at ${this.cursor?.epoch}`;
    });
    checkGone(this, this.#truth, { version, after: 0, through: to.sequence });
  }

  #passFuture(from: Position, to: Position, version: LogVersion): void {
    const isBack = isSameLog(from.epoch, to.epoch) && from.sequence > to.sequence;
    ensure(isBack, 'gap true', () => `${this.id} was told a future gap that is none`);
    const { history } = this.#truth;
    const { cursor } = this;
    if (!cursor || !isSameLog(cursor.epoch, to.epoch)) {
      throw new Error('A future gap is within a log.');
    }
    const common = history.cutTo(to.epoch, this.#view, version.view);
    const beyondEnd = from.sequence > Math.min(common, this.#asked?.lastSequence ?? common);
    const isLost = toPresent(version.lineage, from)?.lost;
    // Events that were skipped for lost ones are delivered again, so the gap leads back before them.
    const leadsBack = this.deliver === 'latest' && (this.#awaited.size > 0 || this.#untold > 0);
    ensure(beyondEnd || isLost || leadsBack || this.#isAhead, 'gap true', () => {
      return `${this.id} was told that ${from.sequence} is lost`;
    });
    // Events before the end of its cursor's view must have come. Later ones cannot be checked.
    const through = Math.min(common, to.sequence);
    for (const record of history.range(version, cursor.sequence, through)) {
      const had = this.#isAhead || record.lost || record.erasedBy || !this.matches(record);
      ensure(Boolean(had), 'no hole', () => `${this.id} never got ${record.sequence}`);
    }
    for (const [topic, sequence] of this.#skipped) {
      const comes = sequence > to.sequence || !this.#isThere(sequence, version);
      ensure(
        comes,
        'skipped',
        () => `${this.id} lacks ${sequence} ${topic}, the newest that is left`,
      );
    }
    for (const [view, last] of this.#untoldLosses) {
      if (to.sequence <= last) this.#untoldLosses.delete(view);
    }
    this.#view = version.view;
  }

  /** Whether a version of the log has an event that can still be delivered. */
  #isThere(sequence: number, version: LogVersion): boolean {
    const [record] = this.#truth.history.range(version, sequence - 1, sequence);
    return record !== undefined && !record.erasedBy && !this.#truth.gone(record);
  }

  /** Checks that every event up to and including a sequence has come. */
  #pass(through: number, { epoch }: Position, version: LogVersion, check: string): void {
    const { cursor } = this;
    if (!cursor) throw new Error('A confirmed reader has a cursor.');
    ensure(!this.#owedGap, 'gap told', () => `${this.id} is still owed a gap`);
    ensure(isSameLog(cursor.epoch, epoch), 'epoch', () => {
      return `${this.id} came from ${formatCursor(cursor)} to ${epoch} without a gap`;
    });
    const { history } = this.#truth;
    if (version.view !== this.#view) {
      // The newer event for which one was skipped may be lost.
      this.#awaited.clear();
      const common = history.sharedUpTo(epoch, version.view, this.#view);
      // What lies beyond the end that its gateway was told then cannot have been kept.
      const { after = Number.POSITIVE_INFINITY, to = 0 } = version.blind ?? {};
      const isBlind = after <= common && cursor.sequence <= to;
      ensure(cursor.sequence <= common || isBlind || this.#isAhead, 'gap told', () => {
        return `${this.id} stood at ${cursor.sequence}, and the log was cut to ${common}`;
      });
      if (isBlind || this.#isAhead) this.#skipped.clear();
      this.#noteUntold(cursor, this.#view, version);
    }
    for (const record of history.range(version, cursor.sequence, through)) {
      if (!this.matches(record)) continue;
      const isGone = record.lost || record.erasedBy !== undefined;
      this.#lossy ||= isGone;
      if (isGone || this.#isHidden(record, version)) continue;
      this.#awaited.set(record.topic, record.sequence);
      this.#skipped.set(record.topic, record.sequence);
      this.#untold++;
      ensure(this.deliver === 'latest', check, () => {
        const range = `(${cursor.sequence}, ${Math.min(through, history.lastSequence)}]`;
        return `${this.id} lacks ${record.sequence} ${record.topic} of ${range} in view ${version.view}, from view ${this.#view}`;
      });
    }
  }

  /**
   * Whether an event is hidden by what the log lost and its gateway could not see, or an archive answered
   * that was not aligned yet. It is told later.
   */
  #isHidden({ sequence }: StoredRecord, version: LogVersion): boolean {
    const { history } = this.#truth;
    const [loss] = history.losses(version.epoch, 0, version.view).filter(({ view, ...one }) => {
      const { after = 0, to = 0 } = version.blind ?? {};
      const isArchived = sequence <= one.archivedTo;
      const isBlind = sequence > after && sequence <= to;
      const isHidden = sequence > one.through && (isArchived || isBlind);
      return isHidden && !history.tells(version.epoch, view);
    });
    if (!loss) return false;
    this.#untoldLosses.set(loss.view, loss.through);
    this.#lossy = true;
    return true;
  }

  /** Checks, once it is current, that a newer event came for each topic with a skipped one. */
  #checkNewest(check: string, version: LogVersion): void {
    const [first] = this.#awaited;
    ensure(!first, check, () => `${this.id} lacks what is newer than ${first?.join(' ')}`);
    for (const [topic, sequence] of this.#skipped) {
      const isLeft = this.#isThere(sequence, version);
      ensure(!isLeft, check, () => `${this.id} lacks ${sequence} ${topic}: the newer one was lost`);
    }
  }

  #move(position: Position, version: LogVersion): void {
    this.#isAhead &&= version.view < this.#view;
    this.cursor = position;
    this.#view = version.view;
  }

  /** Parses a cursor from the gateway, and checks that it has the gateway's epoch at that time. */
  #read(cursor: string, version: LogVersion): Position {
    const position = parseCursor(cursor);
    ensure(position.epoch === version.epoch, 'epoch', () => {
      return `${this.id} was sent ${cursor} by a gateway in ${version.epoch}`;
    });
    return position;
  }
}

function matchesType(name: string, type: string): boolean {
  return name.endsWith('*') ? type.startsWith(name.slice(0, -1)) : type === name;
}
