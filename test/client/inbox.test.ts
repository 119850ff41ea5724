import type { Inbox } from '@tidemark/client/inbox';
import { expect, test } from 'vitest';
import { LIVE_ITEMS_MAX } from '../../libs/client/src/inbox/item-list.ts';
import { failure, InboxService, toCursor } from './inbox-service.ts';

/* The inbox of the client library over a log of which the test decides everything, under a virtual clock. */

const cursors = ({ view }: Inbox) => view.items.map(({ cursor }) => cursor);
const MINUTE_MS = 60_000;

async function opened(service: InboxService, options = {}) {
  const inbox = service.openInbox(options);
  await inbox.ready;
  return inbox;
}

test('inbox: a view that nothing changes: stays the same object, and so does each part', async () => {
  const service = new InboxService();
  const [first, second] = service.items(2);
  const inbox = await opened(service);
  const { view } = inbox;
  let changes = 0;
  inbox.on('change', () => changes++);
  service.item('other');
  service.events.pop();
  await service.clock.advance(MINUTE_MS);
  expect([inbox.view, changes]).toEqual([view, 0]);
  expect(inbox.view).toBe(view);
  service.markRead([1]);
  await service.clock.advance(0);
  expect(changes).toBe(1);
  expect(cursors(inbox)).toEqual([second, first]);
  expect(inbox.view.items[0]).toBe(view.items[0]);
  expect(inbox.view.items[1]).not.toBe(view.items[1]);
  expect(inbox.view.follows).toBe(view.follows);
});

test('inbox: a gap: page and counts are read anew, and followed from there', async () => {
  const service = new InboxService();
  service.items(2);
  const inbox = await opened(service);
  const [subscription] = service.open;
  // What the gap lies over was never sent.
  service.subscriptions.length = 0;
  service.items(3);
  subscription?.push({ type: 'gap', from: toCursor(2), to: toCursor(5), reason: 'expired' });
  await service.clock.advance(0);
  expect(service.pages.at(-1)).toBe(`GET /v1/inbox?atLeast=${toCursor(5)}&limit=20`);
  expect(service.open.map(({ after }) => after)).toEqual([toCursor(5)]);
  expect(subscription?.isClosed).toBe(true);
  service.item();
  await service.clock.advance(0);
  expect(cursors(inbox)).toEqual([6, 5, 4, 3, 2, 1].map(toCursor));
  expect(inbox.view.counts.unread).toBe(6);
});

test('inbox: an event between page and follows: comes by the subscription, once', async () => {
  const service = new InboxService();
  service.items(2);
  service.before = (path) => {
    if (path.startsWith('/v1/inbox/follows')) service.item();
  };
  const inbox = await opened(service);
  expect(service.subscriptions.map(({ after }) => after)).toEqual([toCursor(2)]);
  const [{ event } = { event: undefined }] = service.events.slice(2);
  if (event) service.subscriptions[0]?.push({ type: 'event', event, cursor: toCursor(3) });
  await service.clock.advance(0);
  expect(cursors(inbox)).toEqual([3, 2, 1].map(toCursor));
  expect(inbox.view.counts.unread).toBe(3);
});

test('inbox: a clock that is ahead: asks again after waits that grow', async () => {
  const service = new InboxService();
  service.until = new Date(-1).toISOString();
  await opened(service);
  await service.clock.advance(10 * MINUTE_MS);
  expect(service.pages.length).toBeGreaterThan(5);
  expect(service.pages.length).toBeLessThan(20);
});

test('inbox: at the time that counts name: they are asked for', async () => {
  const service = new InboxService();
  service.until = new Date(MINUTE_MS).toISOString();
  const inbox = await opened(service);
  await service.clock.advance(MINUTE_MS - 1);
  expect(service.pages).toHaveLength(1);
  service.until = undefined;
  service.item();
  service.open[0]?.push({ type: 'live', cursor: toCursor(1) });
  await service.clock.advance(1);
  expect(service.pages).toEqual([
    'GET /v1/inbox?limit=20',
    `GET /v1/inbox?atLeast=${toCursor(1)}&limit=20`,
  ]);
  expect(inbox.view.counts.unread).toBe(1);
});

test('inbox: an erasure that the counts may have: the item leaves at once, and counts are asked for later', async () => {
  const service = new InboxService();
  const [first = '', second] = service.items(2);
  const inbox = await opened(service);
  service.erase(first);
  await service.clock.advance(49_000);
  expect([cursors(inbox), inbox.view.counts.unread]).toEqual([[second], 2]);
  await service.clock.advance(2000);
  expect(service.pages).toHaveLength(2);
  expect(inbox.view.counts.unread).toBe(1);
});

test('inbox: an erasure while an older page is on its way: is not undone by it', async () => {
  const service = new InboxService();
  const stored = service.items(4);
  const inbox = await opened(service, { limit: 2 });
  // The answer is made, and the notice comes before it.
  service.after = async () => {
    service.after = async () => undefined;
    service.erase(stored[0] ?? '');
    await new Promise((resolve) => setImmediate(resolve));
  };
  await inbox.older();
  expect(cursors(inbox)).toEqual(stored.slice(1).reverse());
});

test('inbox: an erasure while the first page is read again: is not undone by it', async () => {
  const service = new InboxService();
  const stored = service.items(3);
  const inbox = await opened(service);
  service.after = async () => {
    service.after = async () => undefined;
    service.erase(stored[0] ?? '');
    await new Promise((resolve) => setImmediate(resolve));
  };
  service.markRead([], { change: 'unmute' });
  await service.clock.advance(1000);
  expect(cursors(inbox)).toEqual(stored.slice(1).reverse());
});

test('inbox: permission that is missing for a subscription: is asked about once, and then final', async () => {
  const service = new InboxService();
  service.follows = [{ pattern: 'news.>', since: toCursor(0), permitted: true }];
  const inbox = await opened(service);
  service.follows = [{ pattern: 'news.>', since: toCursor(0), permitted: false }];
  service.open[0]?.fail(failure('forbidden'));
  await service.clock.advance(0);
  expect(service.open.map(({ topics }) => topics)).toEqual([
    ['inbox.me', 'user.me.>', 'tidemark.erased.inbox.me', 'tidemark.erased.user.me.>'],
  ]);
  expect(inbox.view.follows).toEqual([{ pattern: 'news.>', permitted: false }]);
  for (let count = 0; count < 2; count++) {
    expect(inbox.view.error).toBeUndefined();
    service.open[0]?.fail(failure('forbidden'));
    await service.clock.advance(0);
  }
  expect(inbox.view.error).toMatchObject({ code: 'forbidden' });
  expect(service.open).toEqual([]);
});

test('inbox: an outage at the begin is waited for; a refusal is final', async () => {
  const service = new InboxService();
  service.before = () => {
    throw failure('unavailable', true);
  };
  const inbox = service.openInbox();
  await service.clock.advance(MINUTE_MS);
  expect(inbox.view.isReady).toBe(false);
  service.before = () => undefined;
  await service.clock.advance(MINUTE_MS);
  expect(inbox.view.isReady).toBe(true);
  const refused = new InboxService();
  refused.before = () => {
    throw failure('forbidden');
  };
  const other = refused.openInbox();
  await expect(other.ready).rejects.toMatchObject({ code: 'forbidden' });
  expect(other.view).toMatchObject({ isReady: false, error: { code: 'forbidden' } });
});

test('inbox: a cursor that the log has lost: is no reason to fail', async () => {
  const service = new InboxService();
  service.items(2);
  const inbox = await opened(service);
  service.markRead([], { change: 'unmute' });
  service.before = (path) => {
    if (path.startsWith('/v1/inbox?atLeast')) throw failure('invalid_cursor');
  };
  await service.clock.advance(0);
  expect(service.pages.at(-1)).toBe('GET /v1/inbox?limit=20');
  expect(inbox.view.error).toBeUndefined();
  expect(service.open).toHaveLength(1);
});

test('inbox: more patterns than a subscription takes: are several subscriptions', async () => {
  const service = new InboxService();
  const patterns = Array.from({ length: 100 }, (_, n) => `news.${n}`);
  const long = `news.${'x'.repeat(180)}`;
  service.follows = [...patterns, long].map((pattern) => ({ pattern, since: toCursor(0) }));
  await opened(service);
  const topics = service.open.map((one) => one.topics);
  expect(topics.map(({ length }) => length)).toEqual([100, 100, 5]);
  const wanted = ['inbox.me', 'user.me.>', ...patterns, long];
  const notices = wanted.filter((one) => one !== long).map((one) => `tidemark.erased.${one}`);
  expect(topics.flat()).toEqual([...wanted, ...notices]);
});

test('inbox: more live items than are kept: the oldest fall off, and older pages have them', async () => {
  const service = new InboxService();
  service.items(3);
  const inbox = await opened(service);
  service.items(LIVE_ITEMS_MAX);
  await service.clock.advance(0);
  const all = service.events.map(({ sequence }) => toCursor(sequence)).reverse();
  expect(all).toHaveLength(LIVE_ITEMS_MAX + 3);
  expect(cursors(inbox)).toEqual(all.slice(0, LIVE_ITEMS_MAX));
  expect(inbox.view.hasOlder).toBe(true);
  await inbox.older();
  expect(cursors(inbox)).toEqual(all);
  expect(inbox.view.hasOlder).toBe(false);
});

test('inbox: a mark: stays on top until its own event, also where an older one comes between', async () => {
  const service = new InboxService();
  const [first = '', second = ''] = service.items(2);
  const inbox = await opened(service);
  const reads = () => inbox.view.items.map(({ state }) => state.read);
  service.post = () => ({ ...service.counts(), changed: toCursor(4) });
  const marked = inbox.read({ cursors: [second] });
  expect([reads(), inbox.view.counts.unread]).toEqual([[true, false], 1]);
  await marked;
  service.markRead([1], { mark: 'read', cursors: [first] });
  await service.clock.advance(0);
  expect([reads(), inbox.view.counts.unread]).toEqual([[true, true], 0]);
  // Its own event does not have it: that wins.
  service.markRead([], { mark: 'read', cursors: [second] });
  await service.clock.advance(0);
  expect([reads(), inbox.view.counts.unread]).toEqual([[false, true], 1]);
});

test('inbox: a mark that changes nothing: is asked about where another device made it', async () => {
  const service = new InboxService();
  const [first = ''] = service.items(1);
  const inbox = await opened(service);
  service.read.add(1);
  service.end++;
  service.post = () => ({ ...service.counts(), changed: null });
  await inbox.read({ cursors: [first] });
  await service.clock.advance(0);
  expect(service.pages).toHaveLength(2);
  expect(inbox.view).toMatchObject({ counts: { unread: 0 }, items: [{ state: { read: true } }] });
  // It is on top of nothing that comes later.
  service.read.clear();
  const [from, to] = [toCursor(2), toCursor(++service.end)];
  service.open[0]?.push({ type: 'gap', from, to, reason: 'expired' });
  await service.clock.advance(0);
  expect(inbox.view.items.map(({ state }) => state.read)).toEqual([false]);
  service.markRead([1]);
  await service.clock.advance(0);
  await inbox.read();
  expect(service.pages).toHaveLength(3);
});

test('inbox: a change that comes behind the follows that are asked for: is what counts', async () => {
  const service = new InboxService();
  service.items(1);
  const inbox = await opened(service);
  const follow = { pattern: 'news.>', since: toCursor(2), permitted: true };
  service.after = async (path) => {
    if (!path.startsWith('/v1/inbox/follows')) return;
    service.after = async () => undefined;
    service.follows = [follow];
    service.markRead([], { change: 'follow' });
    service.before = () => {
      throw failure('unavailable', true);
    };
    await new Promise((resolve) => setImmediate(resolve));
  };
  service.markRead([], { change: 'unmute' });
  await service.clock.advance(10);
  expect(inbox.view.follows).toEqual([{ pattern: 'news.>', permitted: true }]);
});

test('inbox: all seen, with pages that are not here: no item below counts any more', async () => {
  const service = new InboxService();
  service.items(30);
  const inbox = await opened(service, { limit: 3 });
  service.post = () => {
    throw failure('offline', true);
  };
  const marks = [inbox.seen(), inbox.unread([toCursor(29)]).catch(() => undefined)];
  expect(inbox.view.counts).toEqual({ unseen: 0, unread: 30, more: false });
  service.item();
  await service.clock.advance(0);
  expect(inbox.view.counts).toEqual({ unseen: 1, unread: 31, more: false });
  const read = inbox.read({ upTo: toCursor(29) });
  expect(inbox.view.counts).toEqual({ unseen: 1, unread: 2, more: false });
  inbox.close();
  await expect(Promise.all([...marks, read])).rejects.toMatchObject({ code: 'closed' });
  await expect(inbox.seen({ upTo: toCursor(1) })).rejects.toMatchObject({ code: 'closed' });
  expect(service.open).toEqual([]);
});

test('inbox: a change that is tried again: has the same id, and the next one waits for it', async () => {
  const service = new InboxService();
  const [first = ''] = service.items(1);
  const inbox = await opened(service);
  const bodies: Record<string, unknown>[] = [];
  service.post = (body) => {
    bodies.push(body);
    if (bodies.length < 3) throw failure('unavailable', true);
    return { ...service.counts(), changed: null };
  };
  const done = Promise.all([inbox.read({ cursors: [first] }), inbox.follow('news.>', ['a'])]);
  await service.clock.advance(MINUTE_MS);
  await done;
  const [{ id, ...mark } = {}, { id: other, ...follow } = {}] = bodies.slice(2);
  expect(bodies.map((body) => body.id)).toEqual([id, id, id, other]);
  expect(id).not.toBe(other);
  expect([mark, follow]).toEqual([
    { mark: 'read', cursors: [first] },
    { change: 'follow', pattern: 'news.>', types: ['a'] },
  ]);
});

test('inbox: an item that expires, and one that is hidden for a time: leave and come back at their time', async () => {
  const service = new InboxService();
  const at = (ms: number) => new Date(ms).toISOString();
  const [first = ''] = service.items(1);
  const expired = { specversion: '1.0', id: 'e', source: '/x', type: 'a', topic: 'user.me.a' };
  const inbox = await opened(service);
  service.send({ ...expired, expires: at(5000) });
  service.post = () => ({ ...service.counts(), changed: toCursor(9) });
  await inbox.snooze([first], new Date(8000));
  await service.clock.advance(0);
  expect([cursors(inbox), inbox.view.counts.unread]).toEqual([[toCursor(2)], 1]);
  await service.clock.advance(4999);
  expect(cursors(inbox)).toHaveLength(1);
  await service.clock.advance(1);
  expect([cursors(inbox), inbox.view.counts.unread]).toEqual([[], 0]);
  await service.clock.advance(2999);
  expect(cursors(inbox)).toEqual([]);
  await service.clock.advance(1);
  expect(cursors(inbox)).toEqual([first]);
});

test('inbox: another log after a gap: nothing of the former one stays, whatever its sequences', async () => {
  const service = new InboxService();
  service.items(5);
  service.markRead([5]);
  const inbox = await opened(service);
  service.item();
  service.markRead([1]);
  await service.clock.advance(0);
  const [subscription] = service.open;
  service.events.length = 0;
  service.subscriptions.length = 0;
  service.end = 0;
  service.read.clear();
  service.items(2);
  subscription?.push({ type: 'gap', from: toCursor(8), to: toCursor(0), reason: 'epoch' });
  await service.clock.advance(0);
  expect(cursors(inbox)).toEqual([2, 1].map(toCursor));
  expect(inbox.view.items.map(({ state }) => state.read)).toEqual([false, false]);
  service.markRead([2]);
  await service.clock.advance(0);
  expect(inbox.view).toMatchObject({
    counts: { unread: 1 },
    items: [{ state: { read: true } }, {}],
  });
});

test('inbox: a page that is read again: covers what was paged to, keeps what is behind it, and its objects', async () => {
  const service = new InboxService();
  const stored = service.items(6);
  const inbox = await opened(service, { limit: 2 });
  await inbox.older();
  const { items } = inbox.view;
  service.after = async () => {
    service.after = async () => undefined;
    stored.push(service.item());
    await new Promise((resolve) => setImmediate(resolve));
  };
  service.markRead([], { change: 'mute' });
  await service.clock.advance(10);
  expect(service.requests.slice(-2)).toEqual([
    `GET /v1/inbox?atLeast=${toCursor(7)}&limit=4`,
    `GET /v1/inbox/follows?atLeast=${toCursor(7)}`,
  ]);
  expect(cursors(inbox)).toEqual(stored.slice(2).reverse());
  expect(inbox.view.items.slice(1).map((item, index) => item === items[index])).toEqual(
    Array(4).fill(true),
  );
  expect(inbox.view.counts.unread).toBe(7);
});

test('inbox: items fall off while an older page is on its way: none is missing between', async () => {
  const service = new InboxService();
  const stored = service.items(LIVE_ITEMS_MAX + 5);
  const inbox = await opened(service, { limit: LIVE_ITEMS_MAX });
  service.after = async () => {
    service.after = async () => undefined;
    stored.push(service.item());
    await service.clock.advance(0);
  };
  await inbox.older();
  expect(cursors(inbox)).toEqual(stored.toReversed());
});

test('inbox: older items that come late or whose page is newer than a change: have what the newest says', async () => {
  const service = new InboxService();
  service.items(4);
  const inbox = await opened(service, { limit: 2 });
  service.markRead([]);
  const [late] = service.events;
  if (late) service.open[0]?.push({ type: 'event', event: late.event, cursor: toCursor(1) });
  await service.clock.advance(0);
  expect(cursors(inbox)).toEqual([4, 3].map(toCursor));
  // The page has a change whose event has not come yet; the one before comes later.
  service.read.add(1);
  service.end++;
  await inbox.older();
  expect(inbox.view.items.map(({ state }) => state.read)).toEqual([false, false, false, true]);
  if (late) service.open[0]?.push({ type: 'event', event: late.event, cursor: toCursor(1) });
  await service.clock.advance(0);
  expect(cursors(inbox)).toEqual([4, 3, 2, 1].map(toCursor));
});

test('inbox: a mute of another device: hides its items at once, also while the service is away', async () => {
  const service = new InboxService();
  const kept = service.item('user.me.a', 'note');
  service.item('user.me.a', 'noise');
  const inbox = await opened(service);
  service.before = () => {
    throw failure('unavailable', true);
  };
  service.mutes = [{ pattern: 'user.me.a', types: ['noi*'] }];
  service.markRead([], { change: 'mute' });
  await service.clock.advance(0);
  expect([cursors(inbox), inbox.view.mutes]).toEqual([[kept], service.mutes]);
  inbox.close();
});

test('inbox: an event of the inbox without a publisher: says nothing', async () => {
  const service = new InboxService();
  service.items(1);
  const inbox = await opened(service);
  const { view } = inbox;
  const event = { specversion: '1.0', id: 'c', source: '/x', type: 'tidemark.inbox.changed' };
  service.send({ ...event, topic: 'inbox.me', data: {} });
  await service.clock.advance(0);
  expect(inbox.view).toBe(view);
});

test('inbox: a mark up to an item far below: counts what is known, and no more', async () => {
  const service = new InboxService();
  service.items(30);
  const inbox = await opened(service, { limit: 3 });
  service.post = () => {
    throw failure('offline', true);
  };
  inbox.seen({ upTo: toCursor(10) }).catch(() => undefined);
  expect(inbox.view.counts).toEqual({ unseen: 30, unread: 30, more: false });
  inbox.close();
});

test('inbox: with a filter: a mark on an item that is not here is asked about, and one on what is below is not', async () => {
  const service = new InboxService();
  service.items(6);
  const inbox = await opened(service, { limit: 3, state: 'read' });
  service.markRead([5], { mark: 'read', cursors: [toCursor(5)] });
  await service.clock.advance(0);
  expect(service.pages).toHaveLength(1);
  service.events.splice(4, 1);
  service.markRead([], { mark: 'read', cursors: [toCursor(5), toCursor(1)] });
  await service.clock.advance(0);
  expect(service.pages).toHaveLength(1);
  service.markRead([], { mark: 'seen', upTo: toCursor(6) });
  await service.clock.advance(0);
  expect(service.pages).toHaveLength(2);
  expect(inbox.view.isReady).toBe(true);
});
