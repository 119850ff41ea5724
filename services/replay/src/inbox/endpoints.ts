import { type Principal, requireAdmin, requirePermission } from '@tidemark/auth';
import {
  type Confirm,
  type Endpoint,
  type Limits,
  type ProgressOptions,
  readJson,
  type Serve,
  spanOf,
} from '@tidemark/http';
import type { EventAppender } from '@tidemark/nats';
import {
  encodeInbox,
  type InboxChange,
  InboxFilter,
  inboxTopic,
  type Position,
  TidemarkError,
  toPresent,
} from '@tidemark/protocol';
import type { Logger, Metrics } from '@tidemark/telemetry';
import { type AtLeastOptions, waitForAtLeast } from '../history/at-least.ts';
import { tellPosition, writeJson } from '../history/endpoints.ts';
import { type HistorySource, waitForArchive } from '../history/range.ts';
import type { Read, Reads } from '../history/reads.ts';
import { type ChangeResult, InboxChanges } from './changes.ts';
import {
  countsDescription,
  describeItems,
  followDescription,
  followsDescription,
  marksDescription,
} from './descriptions.ts';
import {
  cursorOf,
  type Inbox,
  Inboxes,
  type InboxOwner,
  ownerOf,
  requireSameLog,
} from './inboxes.ts';
import { countItems, findHeader, type ItemsOptions } from './items.ts';
import type { OwnTopics } from './own-topics.ts';
import { readItems } from './pages.ts';
import {
  type Following,
  type InboxQuery,
  type Marking,
  parseFollowing,
  parseInboxQuery,
  parseItemsQuery,
  parseMarking,
} from './requests.ts';

/** Most bytes of a body: the most cursors, or the most types of a follow. */
const BODY_BYTES_MAX = 32 * 1024;

export interface InboxOptions extends HistorySource, ProgressOptions, AtLeastOptions {
  readonly reads: Reads;
  readonly ownTopics: OwnTopics;
  readonly appender: EventAppender;
  readonly audit: Logger;
  readonly metrics: Metrics;
  readonly limits: Limits;
  readonly confirm: Confirm;
  /** Largest `limit` of a query. */
  readonly pageEventsMax: number;
  /** Most follows of an inbox, and most mutes. */
  readonly inboxFollowsMax: number;
  /** Most changes of one user in a second. */
  readonly inboxChangesPerSecondMax: number;
}

/** What inboxes are read and changed with. */
export interface InboxParts {
  readonly inboxes: Inboxes;
  readonly changes: InboxChanges;
}

/** Creates what inboxes are read and changed with. */
export function createInboxes(options: InboxOptions): InboxParts {
  const inboxes = new Inboxes(options);
  const changes = new InboxChanges({
    ...options,
    inboxes,
    now: Date.now,
    followsMax: options.inboxFollowsMax,
    rate: options.limits.rate('inbox_changes_per_second', {
      max: options.inboxChangesPerSecondMax,
      of: 'changes of an inbox',
    }),
  });
  return { inboxes, changes };
}

/** The endpoints of inboxes (PROTOCOL.md section 14). */
export function inboxEndpoints(
  options: InboxOptions,
  { inboxes, changes }: InboxParts,
): Endpoint[] {
  const endpoint = new InboxEndpoint(options, inboxes, changes);
  return [
    {
      path: '/v1/inbox',
      methods: {
        GET: {
          ...describeItems(options),
          serve: endpoint.serve('inbox', (read) => endpoint.list(read)),
        },
      },
    },
    {
      path: '/v1/inbox/counts',
      methods: {
        GET: {
          ...countsDescription,
          serve: endpoint.serve('inbox counts', (read) => endpoint.count(read)),
        },
      },
    },
    {
      path: '/v1/inbox/marks',
      methods: {
        POST: {
          ...marksDescription,
          serve: endpoint.serve('inbox marks', (read) => endpoint.mark(read)),
        },
      },
    },
    {
      path: '/v1/inbox/follows',
      methods: {
        GET: {
          ...followsDescription,
          serve: endpoint.serve('inbox follows', (read) => endpoint.listFollows(read)),
        },
        POST: {
          ...followDescription,
          serve: endpoint.serve('inbox follow', (read) => endpoint.follow(read)),
        },
      },
    },
  ];
}

class InboxEndpoint {
  readonly #options: InboxOptions;
  readonly #inboxes: Inboxes;
  readonly #changes: InboxChanges;

  constructor(options: InboxOptions, inboxes: Inboxes, changes: InboxChanges) {
    this.#options = options;
    this.#inboxes = inboxes;
    this.#changes = changes;
  }

  serve(query: string, answer: (read: Read) => Promise<void>): Serve {
    return (request, response, principal) =>
      this.#options.reads.serve(query, { request, response, principal }, answer);
  }

  async list(read: Read): Promise<void> {
    const query = parseItemsQuery(read.request.query, this.#options.pageEventsMax);
    const inbox = await this.#open(read, query);
    const nowMs = Date.now();
    const items = this.#itemsOptions(read);
    const { bounds } = inbox;
    const before = query.before && this.#requireKnown(inbox, query.before).sequence;
    const counts = await countItems(inbox, nowMs, items);
    const body = await readItems(
      inbox,
      { ...query, before: before ?? bounds.lastSequence + 1 },
      { ...items, nowMs, counts, takeBytes: read.takeBytes },
    );
    await this.#answer(read, inbox, body);
  }

  async count(read: Read): Promise<void> {
    const inbox = await this.#open(read, parseInboxQuery(read.request.query));
    const counts = await countItems(inbox, Date.now(), this.#itemsOptions(read));
    await this.#answer(read, inbox, Buffer.from(JSON.stringify(counts)));
  }

  async listFollows(read: Read): Promise<void> {
    const inbox = await this.#open(read, parseInboxQuery(read.request.query));
    const { state, topics, owner, bounds } = inbox;
    const { follows, mutes } = encodeInbox(state, (sequence) => cursorOf(inbox, sequence));
    const cursor = cursorOf(inbox, bounds.lastSequence);
    const shown = follows.map((follow) => ({
      ...follow,
      permitted: owner.permits(follow.pattern),
    }));
    const body = JSON.stringify({ inbox: owner.topic, topics, follows: shown, mutes, cursor });
    await this.#answer(read, inbox, Buffer.from(body));
  }

  async mark(read: Read): Promise<void> {
    const owner = this.#ownerOf(read.principal);
    const marking = parseMarking(await this.#readBody(read));
    const { id, described } = marking;
    await waitForArchive(this.#options, furthest([marking.upTo, ...marking.cursors]));
    await this.#change(read, {
      ...{ owner, id, described },
      toChange: (inbox) => this.#toMark(inbox, marking, read),
    });
  }

  async follow(read: Read): Promise<void> {
    const owner = this.#ownerOf(read.principal);
    const following = parseFollowing(await this.#readBody(read));
    const { id, described, change, pattern } = following;
    if (change === 'follow') requirePermission(read.principal, 'subscribe', pattern);
    await this.#change(read, { owner, id, described, toChange: () => toFollow(following) });
  }

  async #change(
    read: Read,
    change: Omit<Parameters<InboxChanges['make']>[0], 'runStep' | 'parent'>,
  ): Promise<void> {
    const { runStep, response } = read;
    const result: ChangeResult = await this.#changes.make({
      ...change,
      runStep,
      parent: spanOf(response),
    });
    await writeJson(response, Buffer.from(JSON.stringify(result)), this.#options);
  }

  async #toMark(inbox: Inbox, marking: Marking, { runStep }: Read): Promise<InboxChange> {
    const { mark, upTo, cursors, untilMs } = marking;
    if (upTo) {
      return { kind: mark, upTo: this.#requireKnown(inbox, upTo).sequence } as InboxChange;
    }
    const sequences = await runStep(() => this.#requireItems(inbox, cursors));
    return mark === 'snoozed' ? { kind: mark, sequences, untilMs } : { kind: mark, sequences };
  }

  /** Muted items count too: they may be shown again. */
  #requireItems(inbox: Inbox, cursors: readonly Position[]): number[] {
    const { topics, state, owner } = inbox;
    const follows = state.follows.filter(({ pattern }) => owner.permits(pattern));
    const filter = new InboxFilter({ topics, follows, mutes: [] });
    const sequences = cursors.map((cursor) => {
      const { sequence, lost } = this.#requireKnown(inbox, cursor);
      const header = lost ? undefined : findHeader(inbox, sequence);
      return header && filter.accepts(header) ? sequence : undefined;
    });
    const faults = sequences.flatMap((sequence, index) => {
      return sequence === undefined ? [{ path: `cursors[${index}]`, message: 'is no item' }] : [];
    });
    if (faults.length > 0) {
      throw new TidemarkError('not_found', 'The inbox has no item there.', { faults });
    }
    return sequences.filter((sequence) => sequence !== undefined);
  }

  /** @throws TidemarkError `invalid_cursor` for one of another log, or beyond the end */
  #requireKnown({ bounds }: Inbox, position: Position) {
    const present = toPresent(bounds, position);
    if (present && present.sequence <= bounds.lastSequence) return present;
    throw new TidemarkError('invalid_cursor', 'The cursor is none of this log.');
  }

  async #readBody({ request, principal }: Read): Promise<unknown> {
    const body = await readJson(request, BODY_BYTES_MAX);
    this.#options.confirm(principal);
    return body;
  }

  async #open(read: Read, { subject, atLeast }: InboxQuery): Promise<Inbox> {
    const owner =
      subject === undefined ? this.#ownerOf(read.principal) : this.#asOperator(read, subject);
    await waitForAtLeast(atLeast, read, this.#options);
    return read.runStep(() => this.#inboxes.open(owner));
  }

  #ownerOf(principal: Principal): InboxOwner {
    const topic = requireTopic(principal.subject);
    requirePermission(principal, 'inbox', topic);
    return ownerOf(principal, topic);
  }

  /** What the user's own tokens permit is not known, so an operator sees what the user follows. */
  #asOperator({ principal, request }: Read, subject: string): InboxOwner {
    requireAdmin(principal);
    this.#options.audit.warn(
      { sub: subject, by: principal.subject, path: request.path },
      'inbox read',
    );
    return { subject, topic: requireTopic(subject), permits: () => true };
  }

  #itemsOptions({ runStep }: Read): ItemsOptions {
    return { runStep, isElsewhere: this.#options.isElsewhere };
  }

  async #answer({ response }: Read, inbox: Inbox, body: Buffer): Promise<void> {
    requireSameLog(inbox, this.#options.store);
    tellPosition(response, inbox.bounds);
    await writeJson(response, body, this.#options);
  }
}

function requireTopic(subject: string): string {
  const topic = inboxTopic(subject);
  if (topic !== undefined) return topic;
  throw new TidemarkError('invalid_topic', 'The name of the user is too long for an inbox.');
}

function toFollow({ change, pattern, types }: Following): InboxChange {
  return { kind: change, pattern, ...(types && { types }) };
}

/** Of cursors of one log; another one is refused later. */
function furthest(positions: readonly (Position | undefined)[]): Position | undefined {
  return positions.reduce(
    (last, one) => (one && one.sequence > (last?.sequence ?? -1) ? one : last),
    undefined,
  );
}
