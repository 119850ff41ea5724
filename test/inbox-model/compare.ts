import { beginLiveInbox, liveCounts, parseCursor, renewLiveInbox } from '@tidemark/protocol';
import { expect } from 'vitest';
import { cursorOf } from '../../services/replay/src/inbox/inboxes.ts';
import { countItems } from '../../services/replay/src/inbox/items.ts';
import { readItems, STATES } from '../../services/replay/src/inbox/pages.ts';
import { failed, toCursor } from './log.ts';
import { receive } from './perform.ts';
import type { Replica } from './replica.ts';
import type { World } from './world.ts';

/** Answers to the client arrive in one of so many steps. */
const ANSWER_STEPS = 4;

/** Requires that each service and the client say what a plain recount says. */
export async function compare(world: World, at: number): Promise<void> {
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
  if (at % ANSWER_STEPS === 0) answerLive(world);
  const present = world.live && liveCounts(world.live, nowMs);
  if (present && !present.stale) {
    const counted = parseCursor(world.live?.counts.cursor ?? '').sequence;
    // What the client asked for may be ahead of what it has received.
    const end = Math.max(world.received, counted);
    expect(present).toEqual({ ...world.countsAt(end, world.toldErasures(counted)), stale: false });
  } else if (!world.answer) await beginLive(world, at);
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

/** The client asks one of the services, and begins anew or goes on with what it says. */
async function beginLive(world: World, at: number): Promise<void> {
  const replica = world.replicas[at % 2] ?? failed();
  const { live } = world;
  const goesOn = live && at % 3 > 0;
  if (goesOn) replica.project(world.received - replica.end);
  const inbox = replica.inboxes.open(replica.owner);
  const counts = await countItems(inbox, world.nowMs, replica.options);
  const { follows, mutes } = inbox.state;
  const rules = {
    topics: inbox.topics,
    follows: follows.map(({ since, ...rest }) => ({ ...rest, since: cursorOf(inbox, since) })),
    mutes,
  };
  if (goesOn) world.answer = { rules, counts };
  else {
    world.live = beginLiveInbox(rules, counts);
    world.received = replica.end;
  }
}

/** The answer arrives some steps after the question. */
function answerLive(world: World): void {
  const { live, answer } = world;
  world.answer = undefined;
  if (live && answer) world.live = renewLiveInbox(live, answer.rules, answer.counts);
}

/** Requires that all agree, and the client too, once everybody has done and heard everything. */
export async function settle(world: World): Promise<void> {
  for (const replica of [...world.replicas, ...world.replicas]) {
    replica.project(world.end - replica.end);
    while (await replica.erase());
  }
  for (const replica of world.replicas) replica.project(world.end - replica.end);
  receive(world, { receive: world.end, again: 0 });
  for (let count = 0; count < 3; count++) await compare(world, ANSWER_STEPS);
  const { stale, ...counts } = liveCounts(world.live ?? failed(), world.nowMs);
  expect({ ...counts, stale }).toEqual({ ...world.countsAt(world.end), stale: false });
}
