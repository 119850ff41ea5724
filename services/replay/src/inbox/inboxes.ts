import { type Principal, permits } from '@tidemark/auth';
import {
  type CloudEvent,
  decodeInbox,
  EMPTY_INBOX,
  formatCursor,
  INBOX_EVENT_TYPE,
  type InboxData,
  InboxFilter,
  type InboxState,
  type Position,
  parseCursor,
  TidemarkError,
  toPresent,
} from '@tidemark/protocol';
import type { Archive } from '../archive/archive.ts';
import type { ArchiveSnapshot, ArchiveStore } from '../archive/archive-store.ts';
import { type HistorySource, requireLost } from '../history/range.ts';
import type { OwnTopics } from './own-topics.ts';

/** Most events of a topic that are passed over because no service wrote them. */
const FOREIGN_MAX = 100;

/** Whose inbox is read, and which of its follows count. */
export interface InboxOwner {
  readonly subject: string;
  readonly topic: string;
  /** Whether the events of a pattern may be shown. */
  readonly permits: (pattern: string) => boolean;
}

/** One inbox as of the end of the archive. */
export interface Inbox extends ArchiveSnapshot {
  readonly owner: InboxOwner;
  readonly state: InboxState;
  /** The patterns of the topics that are the user's own. */
  readonly topics: readonly string[];
  /** The items that may be shown. */
  readonly filter: InboxFilter;
  /** The last event of the inbox's topic; absent where it has none. */
  readonly last?: Position;
}

export interface InboxesOptions extends Pick<HistorySource, 'isElsewhere'> {
  readonly store: Pick<ArchiveStore, 'snapshot'>;
  readonly ownTopics: OwnTopics;
}

/** Reads inboxes: the newest event of its topic is the whole of one, so that the archive needs no table for them. */
export class Inboxes {
  readonly #options: InboxesOptions;

  constructor(options: InboxesOptions) {
    this.#options = options;
  }

  /**
   * An inbox as of now.
   *
   * @throws TidemarkError `unavailable` where a newer event may be in another archive
   */
  open(owner: InboxOwner): Inbox {
    const snapshot = this.#options.store.snapshot();
    const { archive, bounds } = snapshot;
    const found = findState(archive, owner.topic, bounds.lastSequence);
    for (const hole of archive.missingRanges({
      after: found?.last ?? 0,
      through: bounds.lastSequence,
    })) {
      requireLost(this.#options, bounds.epoch, hole);
    }
    const state = found?.data ? this.#decode(found.data, snapshot) : EMPTY_INBOX;
    return {
      ...this.withState(
        { ...snapshot, owner, topics: this.#options.ownTopics(owner.subject) },
        state,
      ),
      ...(found && { last: { epoch: bounds.epoch, sequence: found.last } }),
    };
  }

  /** The same inbox with another state. */
  withState<I extends Pick<Inbox, 'owner' | 'topics'>>(inbox: I, state: InboxState) {
    const { owner, topics } = inbox;
    const follows = state.follows.filter(({ pattern }) => owner.permits(pattern));
    return { ...inbox, state, filter: new InboxFilter({ topics, follows, mutes: state.mutes }) };
  }

  #decode(data: InboxData, { bounds }: ArchiveSnapshot): InboxState {
    return decodeInbox(data, (cursor) => toPresent(bounds, parseCursor(cursor)));
  }
}

/** The owner of an inbox for the owner's own token. */
export function ownerOf(principal: Principal, topic: string): InboxOwner {
  return {
    subject: principal.subject,
    topic,
    permits: (pattern) => permits(principal, 'subscribe', pattern),
  };
}

/** The cursor of a sequence of an inbox's log. */
export function cursorOf({ bounds }: Pick<Inbox, 'bounds'>, sequence: number): string {
  return formatCursor({ epoch: bounds.epoch, sequence });
}

/** @throws TidemarkError `unavailable` where the log became another one while an inbox was read */
export function requireSameLog({ archive, bounds }: Inbox, store: ArchiveStore): void {
  if (store.archive === archive && archive.open && archive.bounds?.epoch === bounds.epoch) return;
  throw new TidemarkError('unavailable', 'The stream was replaced during the query.');
}

interface FoundState {
  /** The last event of the topic. */
  readonly last: number;
  /** Of the last event that a service wrote; absent where there is none. */
  readonly data?: InboxData;
}

function findState(archive: Archive, topic: string, through: number): FoundState | undefined {
  const entry = archive.topics.findEntry(topic);
  const last = entry ? archive.lastOfTopic(entry, through) : 0;
  if (!entry || last === 0) return undefined;
  let sequence = last;
  for (let looked = 0; sequence > 0 && looked < FOREIGN_MAX; looked++) {
    // What the inbox held was erased.
    if (archive.erasing && archive.isErased({ sequence, topic })) return { last };
    const data = readState(archive.findEvent(sequence)?.json);
    if (data) return { last, data };
    sequence = archive.previousOfTopic(entry, sequence);
  }
  return { last };
}

/** An event without a publisher was published past the services: nobody vouches for what it says. */
function readState(json = '{}'): InboxData | undefined {
  const { publisher, type, data } = JSON.parse(json) as CloudEvent;
  return publisher !== undefined && type === INBOX_EVENT_TYPE ? (data as InboxData) : undefined;
}
