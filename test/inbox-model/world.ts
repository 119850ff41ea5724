import { type CloudEvent, INBOX_COUNT_MAX, type LiveInbox, NEVER_MS } from '@tidemark/protocol';
import { type IndexedEvent, toIndexed } from '../../services/replay/src/sqlite/writer.ts';
import { START_MS } from './log.ts';
import { matchesPlainly, NOTHING, type Plain, type Rule, wants } from './plain.ts';
import { Replica } from './replica.ts';

/** The log, what a user has by a plain recount of it, and who else tells of that: two services and a client. */
export class World {
  nowMs = START_MS;
  readonly log: IndexedEvent[] = [];
  /** The first sequence that the stream still has. */
  first = 1;
  /** What the user has since each change. */
  readonly states: { readonly sequence: number; readonly plain: Plain }[] = [];
  readonly replicas = [new Replica(this), new Replica(this)];
  live: LiveInbox | undefined;
  received = 0;

  get end(): number {
    return this.log.length;
  }

  append(event: Omit<CloudEvent, 'specversion' | 'id' | 'source'>): number {
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

  /** The items of the user up to a sequence, the newest first. */
  itemsAt(end: number): number[] {
    const { follows, mutes } = this.plainAt(end);
    return this.log
      .slice(0, end)
      .filter(({ sequence, topic, type, expiresMs = NEVER_MS }) => {
        const hits = (one: Rule) => matchesPlainly(one.pattern, topic) && wants(one, type);
        if (topic.startsWith('inbox.') || expiresMs <= this.nowMs || mutes.some(hits)) return false;
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

  countsAt(end: number) {
    const plain = this.plainAt(end);
    const unread = this.itemsAt(end).filter(
      (one) => !plain.read.has(one) && !this.isHidden(plain, one),
    );
    const unseen = unread.filter((one) => !plain.seen.has(one));
    return { unseen: unseen.length, unread: unread.length, more: unread.length > INBOX_COUNT_MAX };
  }

  close(): void {
    for (const { archive } of this.replicas) archive.close();
  }
}
