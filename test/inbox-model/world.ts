import {
  type CloudEvent,
  type CountsData,
  type Erasure,
  INBOX_COUNT_MAX,
  type LiveInbox,
  type LiveRules,
  NEVER_MS,
} from '@tidemark/protocol';
import { type IndexedEvent, toIndexed } from '../../services/replay/src/sqlite/writer.ts';
import { START_MS, toCursor } from './log.ts';
import { matchesPlainly, NOTHING, type Plain, type Rule, wants } from './plain.ts';
import { Replica } from './replica.ts';

/** Whether somebody does not have an event any more that a record erases. */
type IsKnown = (record: number, event: IndexedEvent) => boolean;

/** The log, what a user has by a plain recount of it, and who else tells of that: two services and a client. */
export class World {
  nowMs = START_MS;
  readonly log: IndexedEvent[] = [];
  /** The first sequence that the stream still has. */
  first = 1;
  /** What the user has since each change. */
  readonly states: { readonly sequence: number; readonly plain: Plain }[] = [];
  /** What was erased, by the sequences of the records. */
  readonly erasures = new Map<number, Erasure>();
  /** What the stream has no more because of that. */
  readonly deleted = new Set<number>();
  readonly replicas = [new Replica(this), new Replica(this)];
  live: LiveInbox | undefined;
  /** What a service has answered to the client, and what has not arrived yet. */
  answer: { readonly rules: LiveRules; readonly counts: CountsData } | undefined;
  received = 0;
  /** What was gone before the client could receive it. */
  readonly missed = new Set<number>();

  get end(): number {
    return this.log.length;
  }

  append(event: Omit<CloudEvent, 'specversion' | 'id' | 'source'> & Partial<CloudEvent>): number {
    const sequence = this.end + 1;
    const whole = {
      specversion: '1.0',
      id: String(sequence),
      source: '/x',
      ...event,
    } as CloudEvent;
    const timeMs = START_MS + sequence;
    this.log.push(toIndexed({ sequence, timeMs, json: JSON.stringify(whole) }));
    return sequence;
  }

  plainAt(end: number): Plain {
    return this.states.findLast(({ sequence }) => sequence <= end)?.plain ?? NOTHING;
  }

  /** The sequences of the records that erase an event. */
  recordsOf(sequence: number): number[] {
    const topic = this.log[sequence - 1]?.topic;
    const covers = ({ topic: erased, sequences }: Erasure) =>
      sequences?.includes(sequence) ?? erased === topic;
    return [...this.erasures].flatMap(([record, erasure]) =>
      sequence < record && covers(erasure) ? [record] : [],
    );
  }

  /** What a client knows of: erasures before its counts, and those that notices have told it. */
  toldErasures(counted: number): IsKnown {
    const notices = this.log.slice(0, this.received).flatMap(({ topic, json }) => {
      return topic.startsWith('tidemark.erased.')
        ? [`${topic} ${JSON.parse(json).data.record}`]
        : [];
    });
    return (record, { sequence, topic }) =>
      record <= counted ||
      (sequence > counted && this.missed.has(sequence)) ||
      notices.includes(`tidemark.erased.${topic} ${toCursor(record)}`);
  }

  /** The items of the user up to a sequence, the newest first. */
  itemsAt(end: number, isKnown: IsKnown = (record) => record <= end): number[] {
    const { follows, mutes } = this.plainAt(end);
    return this.log
      .slice(0, end)
      .filter((event) => {
        const { sequence, topic, type, expiresMs = NEVER_MS } = event;
        if (this.recordsOf(sequence).some((record) => isKnown(record, event))) return false;
        const hits = (one: Rule) => matchesPlainly(one.pattern, topic) && wants(one, type);
        if (/^(inbox|tidemark)\./.test(topic) || expiresMs <= this.nowMs || mutes.some(hits))
          return false;
        return (
          topic.startsWith('user.me.') || follows.some((one) => sequence > one.since && hits(one))
        );
      })
      .map(({ sequence }) => sequence)
      .reverse();
  }

  isHidden(plain: Plain, sequence: number): boolean {
    return plain.archived.has(sequence) || (plain.snoozed.get(sequence) ?? 0) > this.nowMs;
  }

  /** The counts as of a sequence, without what known erasures concern: those up to there, unless something else is said. */
  countsAt(end: number, isKnown?: IsKnown) {
    const plain = this.plainAt(end);
    const unread = this.itemsAt(end, isKnown).filter(
      (one) => !plain.read.has(one) && !this.isHidden(plain, one),
    );
    const unseen = unread.filter((one) => !plain.seen.has(one));
    return { unseen: unseen.length, unread: unread.length, more: unread.length > INBOX_COUNT_MAX };
  }

  close(): void {
    for (const { archive } of this.replicas) archive.close();
  }
}
