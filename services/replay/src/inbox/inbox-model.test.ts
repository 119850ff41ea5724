import {
  beginLiveInbox,
  type CloudEvent,
  followInbox,
  formatCursor,
  INBOX_COUNT_MAX,
  type InboxChange,
  inboxTopic,
  type LiveInbox,
  liveCounts,
  NEVER_MS,
  type Position,
  TidemarkError,
} from '@tidemark/protocol';
import { createLogger, Metrics, Tracer } from '@tidemark/telemetry';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Archive } from '../archive/archive.ts';
import { type IndexedEvent, toIndexed } from '../sqlite/writer.ts';
import { InboxChanges } from './changes.ts';
import { cursorOf, Inboxes } from './inboxes.ts';
import { countItems } from './items.ts';
import { readItems, STATES } from './pages.ts';

/*
 * Several devices, two replay services with archives of their own, and a client that counts by itself, over one log
 * whose begin the stream drops. After each step, what each of them says of the inbox equals what a plain recount of the
 * log up to its own position says. Sets stand for marks there, and nothing of the code under test is used.
 *
 * `INBOX_RUNS=5000 npx vitest run --project unit inbox-model` makes a large run; a failure prints its seed.
 */

const RUNS = Number(process.env.INBOX_RUNS ?? 60);
const EPOCH = 'log';
const ME = 'me';
const TOPICS = ['user.me.a', 'user.me.b.c', 'user.you.a', 'news.x', 'news.y.z', 'other'];
const PATTERNS = ['news.>', 'news.*', 'news.x', '>', 'user.me.a', 'other'];
const TYPES = ['one', 'two'];
const START_MS = 1_800_000_000_000;

const logger = createLogger('test', 'silent');
const tracer = new Tracer();
const toCursor = (sequence: number) => formatCursor({ epoch: EPOCH, sequence });

const which = fc.nat(1);
const pattern = fc.record({
  pattern: fc.constantFrom(...PATTERNS),
  types: fc.option(fc.constantFrom(['one'], ['t*', 'one']), { nil: undefined }),
});
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      item: fc.constantFrom(...TOPICS),
      type: fc.constantFrom(...TYPES),
      expiresIn: fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      at: which,
      follow: fc.constantFrom('follow', 'unfollow', 'mute', 'unmute'),
      of: pattern,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      at: which,
      upTo: fc.constantFrom('seen', 'read', 'archived'),
      back: fc.nat(15),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      at: which,
      mark: fc.constantFrom('seen', 'read', 'unread', 'archived', 'unarchived', 'snoozed'),
      back: fc.array(fc.nat(20), { minLength: 1, maxLength: 3 }),
      forMs: fc.integer({ min: -50, max: 400 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ at: which, project: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 3, arbitrary: fc.record({ receive: fc.nat(6), again: fc.nat(4) }) },
  fc.record({ at: which, rebuild: fc.constant(true) }),
  fc.record({ drop: fc.nat(20) }),
  fc.record({ passMs: fc.integer({ min: 1, max: 200 }) }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

interface Rule {
  readonly pattern: string;
  readonly types: readonly string[] | undefined;
  readonly since: number;
}

/** What a user has, in the plainest form. */
interface Plain {
  readonly seen: ReadonlySet<number>;
  readonly read: ReadonlySet<number>;
  readonly archived: ReadonlySet<number>;
  readonly snoozed: ReadonlyMap<number, number>;
  readonly follows: readonly Rule[];
  readonly mutes: readonly Rule[];
}

const NOTHING: Plain = {
  seen: new Set(),
  read: new Set(),
  archived: new Set(),
  snoozed: new Map(),
  follows: [],
  mutes: [],
};

function matchesPlainly(pattern: string, topic: string): boolean {
  const source = pattern.replaceAll('.', '\\.').replaceAll('*', '[^.]+').replace('>', '.+');
  return new RegExp(`^${source}$`).test(topic);
}

const wants = ({ types }: Rule, type: string) =>
  types?.some((one) => (one.endsWith('*') ? type.startsWith(one.slice(0, -1)) : one === type)) ??
  true;

function changePlainly(plain: Plain, change: InboxChange, end: number): Plain {
  const add = (set: ReadonlySet<number>, more: Iterable<number>) => new Set([...set, ...more]);
  switch (change.kind) {
    case 'follow':
    case 'mute': {
      const name = change.kind === 'follow' ? 'follows' : 'mutes';
      const { pattern, types } = change;
      const key = JSON.stringify([pattern, types]);
      if (plain[name].some((one) => JSON.stringify([one.pattern, one.types]) === key)) return plain;
      return { ...plain, [name]: [...plain[name], { pattern, types, since: end }] };
    }
    case 'unfollow':
    case 'unmute': {
      const name = change.kind === 'unfollow' ? 'follows' : 'mutes';
      const isNamed = ({ pattern, types }: Rule) =>
        pattern === change.pattern && (!change.types || String(types) === String(change.types));
      return { ...plain, [name]: plain[name].filter((one) => !isNamed(one)) };
    }
    case 'unread':
      return {
        ...plain,
        read: new Set([...plain.read].filter((one) => !change.sequences.includes(one))),
      };
    case 'unarchived':
      return {
        ...plain,
        archived: new Set([...plain.archived].filter((one) => !change.sequences.includes(one))),
      };
    case 'snoozed': {
      const snoozed = new Map(plain.snoozed);
      for (const sequence of change.sequences) snoozed.set(sequence, change.untilMs);
      return { ...plain, snoozed };
    }
    default: {
      const all =
        'upTo' in change ? Array.from({ length: change.upTo }, (_, i) => i + 1) : change.sequences;
      return { ...plain, [change.kind]: add(plain[change.kind], all) };
    }
  }
}

class World {
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

/** A replay service: an archive that follows the log, and the inboxes that it serves. */
class Replica {
  archive: Archive;
  readonly #world: World;
  readonly inboxes: Inboxes;
  readonly changes: InboxChanges;
  readonly owner = { subject: ME, topic: inboxTopic(ME) ?? '', permits: () => true };
  readonly options = { isElsewhere: () => false, runStep: async <T>(work: () => T) => work() };

  constructor(world: World) {
    this.#world = world;
    this.archive = this.#newArchive();
    const store = {
      snapshot: () => {
        const { archive } = this;
        if (!archive.bounds) throw new Error('It has begun.');
        return { archive, bounds: archive.bounds };
      },
    };
    this.inboxes = new Inboxes({ ...this.options, store, ownTopics: (sub) => [`user.${sub}.>`] });
    this.changes = new InboxChanges({
      ...this.options,
      inboxes: this.inboxes,
      metrics: new Metrics('test'),
      rate: { consume: async () => {} },
      followsMax: 100,
      now: () => world.nowMs,
      readBounds: async () => ({
        epoch: EPOCH,
        firstSequence: world.first,
        lastSequence: world.end,
      }),
      progress: {
        waitForSequence: async (sequence) => {
          this.project(sequence - this.end);
          return true;
        },
      },
      appender: {
        append: (event, request) => this.#append(event, request?.precondition),
        lastCursor: async (topic) => this.#held(topic),
      },
    });
  }

  get end(): number {
    return this.archive.bounds?.lastSequence ?? 0;
  }

  project(count: number): void {
    const events = this.#world.log.slice(this.end, this.end + Math.max(0, count));
    const last = events.at(-1);
    if (last) this.archive.appendEvents(events, [], last.sequence);
  }

  /** A new archive, which gets all of the log that the old one had. */
  rebuild(): void {
    const { end } = this;
    this.archive.close();
    this.archive = this.#newArchive();
    this.project(end);
  }

  /** As the stream does it: it knows only the last event of the topic that it still has. */
  async #append(event: CloudEvent, precondition: unknown) {
    const world = this.#world;
    const cursor = this.#held(event.topic);
    const expected = precondition === 'empty' ? null : formatCursor(precondition as Position);
    if (cursor !== expected) {
      throw new TidemarkError('precondition_failed', 'It is another one.', { cursor });
    }
    return { cursor: toCursor(world.append(event)), duplicate: false };
  }

  #held(topic: string): string | null {
    const { log, first } = this.#world;
    const last = log.findLast((one) => one.topic === topic)?.sequence ?? 0;
    return last >= first ? toCursor(last) : null;
  }

  #newArchive(): Archive {
    const archive = new Archive(':memory:', logger, () => this.#world.nowMs);
    archive.begin({ epoch: EPOCH }, 1);
    return archive;
  }
}

async function change(
  world: World,
  at: number,
  toChange: (end: number) => InboxChange | undefined,
) {
  const replica = world.replicas[at] ?? failed();
  let made: { readonly change: InboxChange; readonly end: number } | undefined;
  const request = {
    owner: replica.owner,
    described: {},
    parent: tracer.span('test'),
    runStep: replica.options.runStep,
  };
  const before = world.end;
  if (!toChange(replica.end)) return;
  const result = await replica.changes
    .make({
      ...request,
      toChange: (inbox) => {
        const end = inbox.bounds.lastSequence;
        made = { change: toChange(end) ?? failed(), end };
        return made.change;
      },
    })
    .catch((error) => {
      // The stream has dropped what this archive does not have yet.
      expect(error.code).toBe('unavailable');
      expect(replica.end + 1).toBeLessThan(world.first);
    });
  if (!result) {
    expect(world.end).toBe(before);
    return;
  }
  if (!made) failed();
  const plain = changePlainly(world.plainAt(before), made.change, made.end);
  // It saw the last change before it made its own.
  expect(world.states.at(-1)?.sequence ?? 0).toBeLessThanOrEqual(made.end);
  if (result.changed === null) {
    expect(world.end).toBe(before);
    const { snoozed, ...rest } = plain;
    const { snoozed: ended, ...present } = world.plainAt(before);
    expect(rest).toEqual(present);
    for (const [sequence, untilMs] of snoozed) {
      if (untilMs > world.nowMs) expect(ended.get(sequence)).toBe(untilMs);
    }
  } else world.states.push({ sequence: world.end, plain });
}

async function perform(world: World, one: Step): Promise<void> {
  if ('item' in one) {
    const { item: topic, type, expiresIn } = one;
    const expires = expiresIn && { expires: new Date(world.nowMs + expiresIn).toISOString() };
    world.append({ topic, type, ...expires, data: {} });
  } else if ('follow' in one) {
    const { pattern, types } = one.of;
    await change(
      world,
      one.at,
      () =>
        ({ kind: one.follow, pattern, ...(types && { types: [...types].sort() }) }) as InboxChange,
    );
  } else if ('upTo' in one) {
    await change(
      world,
      one.at,
      (end) => ({ kind: one.upTo, upTo: Math.max(0, end - one.back) }) as InboxChange,
    );
  } else if ('mark' in one) {
    await change(world, one.at, (end) => {
      const sequences = one.back.map((back) => end - back).filter((sequence) => sequence > 0);
      if (sequences.length === 0) return undefined;
      const untilMs = one.mark === 'snoozed' ? { untilMs: world.nowMs + one.forMs } : {};
      return { kind: one.mark, sequences, ...untilMs } as InboxChange;
    });
  } else if ('project' in one) world.replicas[one.at]?.project(one.project);
  else if ('rebuild' in one) world.replicas[one.at]?.rebuild();
  else if ('drop' in one) world.first = Math.min(world.end + 1, world.first + one.drop);
  else if ('passMs' in one) world.nowMs += one.passMs;
  else receive(world, one);
}

/** The client gets the next events, and some once more. */
function receive(
  world: World,
  { receive: count, again }: { receive: number; again: number },
): void {
  if (!world.live) return;
  const from = Math.max(0, world.received - again);
  const through = Math.min(world.end, world.received + count);
  for (const { sequence, json } of world.log.slice(from, through)) {
    world.live = followInbox(world.live, { cursor: toCursor(sequence), event: JSON.parse(json) });
  }
  world.received = Math.max(world.received, through);
}

async function compare(world: World, at: number): Promise<void> {
  const { nowMs } = world;
  for (const replica of world.replicas) {
    const inbox = replica.inboxes.open(replica.owner);
    const expected = world.countsAt(replica.end);
    const counts = await countItems(inbox, nowMs, replica.options);
    expect(counts).toMatchObject(expected);
    const names = Object.keys(STATES) as (keyof typeof STATES)[];
    const state = names[at % names.length];
    expect(await cursors(replica, nowMs, state)).toEqual(
      plainItems(world, replica.end, state).map(toCursor),
    );
    expect(await cursors(replica, nowMs, undefined)).toEqual(
      plainItems(world, replica.end, undefined).map(toCursor),
    );
  }
  const present = world.live && liveCounts(world.live, nowMs);
  if (present && !present.stale) {
    expect(present).toEqual({ ...world.countsAt(world.received), stale: false });
  } else await beginLive(world, at);
}

function plainItems(world: World, end: number, state: keyof typeof STATES | undefined): number[] {
  const plain = world.plainAt(end);
  const isSnoozed = (one: number) => (plain.snoozed.get(one) ?? 0) > world.nowMs;
  const isShown = (one: number) => !plain.archived.has(one) && !isSnoozed(one);
  const isUnread = (one: number) => !plain.read.has(one) && isShown(one);
  const tests = {
    all: () => true,
    archived: (one: number) => plain.archived.has(one),
    snoozed: (one: number) => isSnoozed(one) && !plain.archived.has(one),
    read: (one: number) => plain.read.has(one) && isShown(one),
    unread: isUnread,
    unseen: (one: number) => isUnread(one) && !plain.seen.has(one),
  };
  return world.itemsAt(end).filter(state ? tests[state] : isShown);
}

/** The cursors on all pages. */
async function cursors(replica: Replica, nowMs: number, state: keyof typeof STATES | undefined) {
  const inbox = replica.inboxes.open(replica.owner);
  const counts = { unseen: 0, unread: 0, more: false, cursor: '' };
  const found: string[] = [];
  for (let before: number | undefined = replica.end + 1; before !== undefined; ) {
    const query = { state, limit: 4, before };
    const request = { ...replica.options, nowMs, counts, takeBytes: () => {} };
    const page = JSON.parse(String(await readItems(inbox, query, request)));
    for (const { cursor } of page.items) found.push(cursor);
    before = page.next === null ? undefined : Number(page.next.split('-')[1]);
  }
  return found;
}

/** The client begins anew, with what one of the services says. */
async function beginLive(world: World, at: number): Promise<void> {
  const replica = world.replicas[at % 2] ?? failed();
  const inbox = replica.inboxes.open(replica.owner);
  const counts = await countItems(inbox, world.nowMs, replica.options);
  const { follows, mutes } = inbox.state;
  const rules = {
    topics: inbox.topics,
    follows: follows.map(({ since, ...rest }) => ({ ...rest, since: cursorOf(inbox, since) })),
    mutes,
  };
  world.live = beginLiveInbox(rules, counts);
  world.received = replica.end;
}

function failed(): never {
  throw new Error('This cannot be.');
}

test('inboxes: several devices, two archives, retention, rebuilds and live counts: none drifts from a recount', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80 }), async (steps) => {
      const world = new World();
      try {
        for (const [index, one] of steps.entries()) {
          await perform(world, one);
          await compare(world, index);
        }
      } finally {
        world.close();
      }
    }),
    { numRuns: RUNS, endOnFailure: RUNS > 100 },
  );
}, 3_600_000);
