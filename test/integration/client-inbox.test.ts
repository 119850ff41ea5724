import type { Inbox } from '@tidemark/client/inbox';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { erase } from '../support/erasures.ts';
import { type System, startSystem, streamEvents } from '../support/system.ts';
import { until } from '../support/until.ts';
import { Devices } from './client-inbox-setup.ts';
import { publishItem } from './inbox-setup.ts';

/* `@tidemark/client/inbox` against real services. What it shows is compared with what the service answers. */

let system: System;
let users = 0;
let open: Devices[] = [];

beforeAll(async () => {
  system = await startSystem({ env: { TIDEMARK_GATEWAY_HEARTBEAT_MS: '300' } });
});
afterEach(() => {
  for (const devices of open) devices.close();
  open = [];
});
afterAll(() => system?.stop());

/** A user of this test alone. */
function newUser() {
  const name = `inbox-user-${++users}`;
  const devices = new Devices(system, name);
  open.push(devices);
  return { name, devices };
}

const publish = (topic: string, more?: object) => publishItem(system, topic, more);

async function publishMany(topic: string, count: number): Promise<string[]> {
  const cursors: string[] = [];
  for (let n = 0; n < count; n++) cursors.push(await publish(topic));
  return cursors;
}

const cursors = ({ view }: Inbox) => view.items.map(({ cursor }) => cursor);

test('inbox: first page, live items in front, and older pages: each item once, as the service answers', async () => {
  const { name, devices } = newUser();
  const stored = await publishMany(`user.${name}.a`, 7);
  await devices.user.counts(`?atLeast=${stored.at(-1)}`);
  const inbox = await devices.open({ limit: 3 });
  const views: unknown[] = [];
  inbox.on('change', (view) => views.push(view));
  expect(cursors(inbox)).toEqual(stored.slice(4).reverse());
  expect(inbox.view).toMatchObject({
    isReady: true,
    counts: { unseen: 7, unread: 7, more: false },
    hasOlder: true,
  });
  const [first] = inbox.view.items;
  const live = await publish(`user.${name}.b`);
  await publish('user.somebody-else.b');
  await until(() => inbox.view.items.length === 4);
  expect(cursors(inbox)).toEqual([live, ...stored.slice(4).reverse()]);
  expect(inbox.view.counts).toEqual({ unseen: 8, unread: 8, more: false });
  expect(inbox.view.items[1]).toBe(first);
  await Promise.all([inbox.older(), inbox.older()]);
  expect(cursors(inbox)).toEqual([live, ...stored.slice(1).reverse()]);
  await inbox.older();
  await inbox.older();
  expect(cursors(inbox)).toEqual([live, ...stored.toReversed()]);
  expect(inbox.view.hasOlder).toBe(false);
  await devices.agrees(inbox, { atLeast: live });
  expect(views.at(-1)).toBe(inbox.view);
});

test('inbox: marks: are shown at once, and by the other device when it hears of them', async () => {
  const { name, devices } = newUser();
  const [a = '', b = '', c = ''] = await publishMany(`user.${name}.a`, 3);
  await devices.user.counts(`?atLeast=${c}`);
  const one = await devices.open();
  const other = await devices.open();
  const read = one.read({ cursors: [b] });
  expect(one.view.counts).toEqual({ unseen: 2, unread: 2, more: false });
  expect(one.view.items[1]?.state).toEqual({ seen: true, read: true, archived: false });
  await read;
  await until(() => other.view.counts.unread === 2);
  const steps: [string, (inbox: Inbox) => Promise<void>, number[]][] = [
    ['unread', (inbox) => inbox.unread([b]), [3, 3]],
    ['seen', (inbox) => inbox.seen(), [0, 3]],
    ['archive', (inbox) => inbox.archive({ cursors: [a] }), [0, 2]],
    ['unarchive', (inbox) => inbox.unarchive([a]), [0, 3]],
    ['read up to', (inbox) => inbox.read({ upTo: b }), [0, 1]],
    ['read', (inbox) => inbox.read(), [0, 0]],
    ['nothing new', (inbox) => inbox.read(), [0, 0]],
  ];
  for (const [index, [what, mark, counts]] of steps.entries()) {
    const [here, there] = index % 2 ? [one, other] : [other, one];
    const marked = mark(here);
    expect(here.view.counts, what).toMatchObject({ unseen: counts[0], unread: counts[1] });
    await marked;
    await devices.agrees(here);
    await devices.agrees(there);
    expect(there.view.counts, what).toMatchObject({ unseen: counts[0], unread: counts[1] });
  }
});

test('inbox: follows and mutes of one device: change list, counts and rules of the other', async () => {
  const { name, devices } = newUser();
  const one = await devices.open();
  const other = await devices.open();
  await publish(`news.${name}.old`);
  await one.follow(`news.${name}.>`);
  const rules = () => [other.view.follows, other.view.mutes];
  await until(() => other.view.follows.length === 1);
  expect(rules()).toEqual([[{ pattern: `news.${name}.>`, permitted: true }], []]);
  const item = await publish(`news.${name}.new`);
  const noise = await publish(`news.${name}.new`, { type: 'noise' });
  await devices.agrees(one, { atLeast: noise });
  await devices.agrees(other, { atLeast: noise });
  expect(cursors(other)).toEqual([noise, item]);
  await other.mute('news.>', ['noise']);
  await until(() => one.view.mutes.length === 1);
  for (const inbox of [one, other]) await devices.agrees(inbox);
  expect(cursors(one)).toEqual([item]);
  const hidden = await publish(`news.${name}.new`, { type: 'noise' });
  await one.unmute('news.>');
  for (const inbox of [one, other]) await devices.agrees(inbox, { atLeast: hidden });
  expect(cursors(other)).toEqual([hidden, noise, item]);
  await other.unfollow(`news.${name}.>`);
  for (const inbox of [one, other]) await devices.agrees(inbox);
  expect([cursors(one), one.view.follows]).toEqual([[], []]);
});

test('inbox: a refused mark: is taken back, and its promise rejects; the next one counts', async () => {
  const { name, devices } = newUser();
  const [a = '', b = ''] = await publishMany(`user.${name}.a`, 2);
  await devices.user.counts(`?atLeast=${b}`);
  const inbox = await devices.open();
  const before = inbox.view;
  const foreign = await publish('other.topic');
  const refused = inbox.read({ cursors: [a, foreign] });
  expect(inbox.view.counts.unread).toBe(1);
  await expect(refused).rejects.toMatchObject({ code: 'not_found' });
  expect(inbox.view).toEqual(before);
  await expect(inbox.follow('secret.>')).rejects.toMatchObject({ code: 'forbidden' });
  await expect(inbox.snooze([a], new Date(Number.NaN))).rejects.toThrow(RangeError);
  await inbox.read({ cursors: [a] });
  await devices.agrees(inbox);
  expect(inbox.view.counts.unread).toBe(1);
});

test('inbox: marks while the service is away: are shown, wait in a bounded queue, and arrive once', async () => {
  const { name, devices } = newUser();
  const stored = await publishMany(`user.${name}.a`, 3);
  await devices.user.counts(`?atLeast=${stored.at(-1)}`);
  const inbox = await devices.open();
  await system.replay.kill('SIGKILL');
  const marks = [
    inbox.read({ cursors: [stored[0] ?? ''] }),
    inbox.archive({ cursors: [stored[1] ?? ''] }),
    ...Array.from({ length: 98 }, () => inbox.seen()),
  ];
  expect(inbox.view.counts).toEqual({ unseen: 0, unread: 1, more: false });
  await expect(inbox.seen()).rejects.toMatchObject({ code: 'queue_full' });
  const live = await publish(`user.${name}.a`);
  await until(() => cursors(inbox)[0] === live);
  expect(inbox.view.counts).toEqual({ unseen: 1, unread: 2, more: false });
  await system.replay.restart();
  await Promise.all(marks);
  await devices.agrees(inbox, { atLeast: live });
  const changes = (await streamEvents(system.nats.url)).filter(
    ({ topic }) => topic === `inbox.${name}`,
  );
  expect(changes.map(({ data }) => (data as { change: { mark: string } }).change.mark)).toEqual([
    'read',
    'archived',
    'seen',
  ]);
});

test('inbox: an erased item: leaves the list, and the counts where it came behind them', async () => {
  const { name, devices } = newUser();
  const inbox = await devices.open();
  const [kept = '', gone = ''] = await publishMany(`user.${name}.a`, 2);
  await until(() => inbox.view.items.length === 2);
  const { cursor } = await erase(system.replay, { cursor: gone });
  await until(() => inbox.view.items.length === 1);
  expect(cursors(inbox)).toEqual([kept]);
  await devices.agrees(inbox, { atLeast: cursor ?? '' });
  expect(inbox.view.counts.unread).toBe(1);
});

test('inbox: items that expire or are snoozed: leave and come back at their time', async () => {
  const { name, devices } = newUser();
  const soon = (ms: number) => new Date(Date.now() + ms);
  const expired = await publish(`user.${name}.a`, { expires: soon(2500).toISOString() });
  const kept = await publish(`user.${name}.a`);
  await devices.user.counts(`?atLeast=${kept}`);
  const one = await devices.open();
  const other = await devices.open();
  const live = await publish(`user.${name}.b`, { expires: soon(2500).toISOString() });
  await until(() => other.view.items.length === 3);
  const until1 = soon(1500);
  const snoozed = one.snooze([kept], until1);
  expect(cursors(one).includes(kept)).toBe(false);
  await snoozed;
  await until(() => !cursors(other).includes(kept));
  for (const inbox of [one, other]) {
    await until(() => Date.now() < until1.getTime() || cursors(inbox).includes(kept));
    await until(() => cursors(inbox).join() === kept);
    expect(cursors(inbox)).not.toContain(expired);
    expect(cursors(inbox)).not.toContain(live);
    await until(() => inbox.view.counts.unread === 1);
    await devices.agrees(inbox);
  }
});

test('inbox: filters: hold for pages, live items and changes', async () => {
  const { name, devices } = newUser();
  const [a = '', b = ''] = await publishMany(`user.${name}.a`, 2);
  await devices.user.counts(`?atLeast=${b}`);
  const main = await devices.open();
  const archived = await devices.open({ state: 'archived' });
  const unread = await devices.open({ state: 'unread' });
  const typed = await devices.open({ types: ['x.*'], topics: [`user.${name}.b`] });
  await main.archive({ cursors: [a] });
  await devices.agrees(archived, { query: '&state=archived' });
  await main.read({ cursors: [b] });
  const c = await publish(`user.${name}.b`, { type: 'x.1' });
  await publish(`user.${name}.a`, { type: 'x.1' });
  await publish(`user.${name}.b`);
  await until(() => main.view.items.length === 4);
  await devices.agrees(main);
  await devices.agrees(unread, { query: '&state=unread' });
  await devices.agrees(typed, { query: `&types=x.*&topics=user.${name}.b` });
  expect([cursors(archived), cursors(typed)]).toEqual([[a], [c]]);
  await main.archive({ upTo: c });
  await devices.agrees(archived, { query: '&state=archived' });
  await main.unarchive([a]);
  for (const [inbox, query] of [
    [archived, '&state=archived'],
    [unread, '&state=unread'],
    [main, ''],
  ] as const) {
    await devices.agrees(inbox, { query });
  }
});

test('inbox: token without permission: is refused, and the view says so', async () => {
  const { devices } = newUser();
  await expect(devices.open({}, 'subscribe:user.>')).rejects.toMatchObject({ code: 'forbidden' });
});
