import type { InboxData } from '@tidemark/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectUsers } from '../support/nats-users.ts';
import { limitHits, makeToken, type Service } from '../support/services.ts';
import { type System, startSystem, streamEvents, withNats } from '../support/system.ts';
import { cursorsOf, INBOX_SCOPE, type InboxPage, InboxUser, publishItem } from './inbox-setup.ts';

/* `/v1/inbox` at replay (PROTOCOL.md section 14). */

let system: System;
let users = 0;

beforeAll(async () => {
  system = await startSystem({ env: { TIDEMARK_REPLAY_INBOX_FOLLOWS_MAX: '5' } });
});
afterAll(() => system?.stop());

/** A user of this test alone, with a first device. */
function newUser(scope?: string) {
  const name = `user-${++users}`;
  return { name, device: new InboxUser(system.replay, name, scope) };
}

const publish = (topic: string, more?: object) => publishItem(system, topic, more);

describe('items', () => {
  test('events of the own topics: are items at once, the newest first; others are not', async () => {
    const { name, device } = newUser();
    const first = await publish(`user.${name}.a`, { subject: 's' });
    await publish('user.somebody-else.a');
    const last = await publish(`user.${name}.b`);
    const page = await device.page(`?atLeast=${last}`);
    expect(cursorsOf(page)).toEqual([last, first]);
    expect(page.items[1]).toMatchObject({
      event: { topic: `user.${name}.a`, subject: 's', publisher: 'tester' },
      state: { seen: false, read: false, archived: false },
    });
    expect(page).toMatchObject({ unseen: 2, unread: 2, more: false, next: null });
    expect(await device.counts()).toEqual({
      ...{ unseen: 2, unread: 2, more: false, cursor: page.cursor },
    });
  });

  test('a follow: begins at its own position; mute and unfollow take its items away', async () => {
    const { name, device } = newUser();
    await publish(`news.${name}.old`);
    await device.change('follow', `news.${name}.>`);
    const item = await publish(`news.${name}.new`);
    const other = await publish(`news.${name}.new`, { type: 'noise' });
    const page = await device.page(`?atLeast=${other}`);
    expect(cursorsOf(page)).toEqual([other, item]);
    await device.change('mute', 'news.>', { types: ['noi*'] });
    expect(cursorsOf(await device.page())).toEqual([item]);
    expect(await device.counts()).toMatchObject({ unread: 1 });
    await device.change('unmute', 'news.>');
    expect(await device.counts()).toMatchObject({ unread: 2 });
    await device.change('unfollow', `news.${name}.>`);
    expect(await device.page()).toMatchObject({ items: [], unread: 0 });
  });

  test('an event that two patterns match: counts once', async () => {
    const { name, device } = newUser();
    await device.change('follow', `news.${name}.>`);
    await device.change('follow', `news.${name}.*`, { types: ['note'] });
    await device.change('follow', 'news.>');
    const cursor = await publish(`news.${name}.a`);
    expect(await device.page(`?atLeast=${cursor}`)).toMatchObject({
      unread: 1,
      items: [{ cursor }],
    });
  });

  test('pages: go on at next, and each item comes once', async () => {
    const { name, device } = newUser();
    const cursors: string[] = [];
    for (let index = 0; index < 7; index++)
      cursors.unshift(await publish(`user.${name}.${index % 3}`));
    await device.counts(`?atLeast=${cursors[0]}`);
    const found: string[] = [];
    let next: string | null = '';
    while (next !== null) {
      const page: InboxPage = await device.page(`?limit=3${next && `&before=${next}`}`);
      expect(page.items.length).toBeLessThanOrEqual(3);
      found.push(...cursorsOf(page));
      next = page.next;
    }
    expect(found).toEqual(cursors);
  });

  test('filters: by state, topics and types', async () => {
    const { name, device } = newUser();
    const [a, b, c] = [
      await publish(`user.${name}.a`, { type: 'x.1' }),
      await publish(`user.${name}.b`, { type: 'x.2' }),
      await publish(`user.${name}.c`, { type: 'y' }),
    ];
    await device.counts(`?atLeast=${c}`);
    await device.mark('read', { cursors: [a] });
    await device.mark('archived', { cursors: [b] });
    const of = async (query: string) => cursorsOf(await device.page(query));
    expect(await of('')).toEqual([c, a]);
    expect(await of('?state=unread')).toEqual([c]);
    expect(await of('?state=read')).toEqual([a]);
    expect(await of('?state=archived')).toEqual([b]);
    expect(await of('?state=all')).toEqual([c, b, a]);
    expect(await of('?state=all&types=x.*')).toEqual([b, a]);
    expect(await of(`?state=all&topics=user.${name}.a,user.${name}.c`)).toEqual([c, a]);
    expect(await of('?topics=news.>')).toEqual([]);
  });

  test.each(['topic', 'subject'])(
    'group=%s: the newest of each, also across pages',
    async (group) => {
      const { name, device } = newUser();
      const cursors: string[] = [];
      for (let index = 0; index < 9; index++) {
        cursors.unshift(await publish(`user.${name}.${index % 4}`, { subject: `s${index % 4}` }));
      }
      await device.counts(`?atLeast=${cursors[0]}`);
      const first = await device.page(`?group=${group}&limit=3`);
      expect(cursorsOf(first)).toEqual(cursors.slice(0, 3));
      const second = await device.page(`?group=${group}&limit=3&before=${first.next}`);
      expect(cursorsOf(second)).toEqual(cursors.slice(3, 4));
    },
  );
});

describe('marks', () => {
  test('positions and exceptions: each device sees those of the others', async () => {
    const { name, device } = newUser();
    const phone = new InboxUser(system.replay, name);
    const cursors: string[] = [];
    for (let index = 0; index < 5; index++) cursors.push(await publish(`user.${name}.a`));
    await device.counts(`?atLeast=${cursors[4]}`);
    expect(await device.mark('seen', { upTo: cursors[4] })).toMatchObject({ unseen: 0, unread: 5 });
    expect(await phone.mark('read', { upTo: cursors[3] })).toMatchObject({ unseen: 0, unread: 1 });
    expect(await device.mark('unread', { cursors: [cursors[1]] })).toMatchObject({ unread: 2 });
    const states = (await phone.page()).items.map(({ state }) => state.read);
    expect(states).toEqual([false, true, true, false, true]);
    await phone.mark('archived', { upTo: cursors[4] });
    expect(await device.page()).toMatchObject({ items: [], unread: 0 });
    await phone.mark('unarchived', { cursors: [cursors[1]] });
    expect(await device.page()).toMatchObject({ items: [{ cursor: cursors[1] }], unread: 1 });
  });

  test('snoozed: hidden until its time, which the counts tell, and then back as it was', async () => {
    const { name, device } = newUser();
    const item = await publish(`user.${name}.a`);
    await device.counts(`?atLeast=${item}`);
    const until = new Date(Date.now() + 1500).toISOString();
    const marked = await device.mark('snoozed', { cursors: [item], until });
    expect(marked).toMatchObject({ unread: 0, until });
    expect(await device.page()).toMatchObject({ items: [], unread: 0 });
    expect((await device.page('?state=snoozed')).items[0]?.state.snoozed).toBe(until);
    await new Promise((resolve) => setTimeout(resolve, Date.parse(until) - Date.now() + 20));
    expect(await device.page()).toMatchObject({ items: [{ cursor: item }], unread: 1 });
  });

  test('the same again, and a repeat with its id: no new event', async () => {
    const { name, device } = newUser();
    const item = await publish(`user.${name}.a`);
    await device.counts(`?atLeast=${item}`);
    const first = await device.mark('read', { cursors: [item], id: 'change-1' });
    expect(first.changed).toMatch(/-\d+$/);
    expect((await device.mark('read', { upTo: item })).changed).toMatch(/-\d+$/);
    expect(await device.mark('read', { upTo: item })).toMatchObject({ changed: null, unread: 0 });
    await device.mark('unread', { cursors: [item] });
    // It was done, and undone since then.
    const repeated = await device.mark('read', { cursors: [item], id: 'change-1' });
    expect(repeated).toMatchObject({ changed: null, unread: 1 });
  });

  test('many devices at once: each change is there in the end', async () => {
    const { name } = newUser();
    const second = await system.startReplay();
    await second.waitUntilReady();
    const cursors: string[] = [];
    for (let index = 0; index < 12; index++) cursors.push(await publish(`user.${name}.a`));
    const devices = [system.replay, second].map((replay) => new InboxUser(replay, name));
    await Promise.all(devices.map((device) => device.counts(`?atLeast=${cursors.at(-1)}`)));
    const marked = await Promise.all(
      cursors.map((cursor, index) => devices[index % 2]?.mark('read', { cursors: [cursor] })),
    );
    const last = marked
      .map((one) => one?.changed ?? '')
      .sort((one, other) => Number(other.split('-')[1]) - Number(one.split('-')[1]))[0];
    for (const device of devices) {
      expect(await device.counts(`?atLeast=${last}`)).toMatchObject({ unread: 0 });
    }
  });

  test('hundreds of single marks: become a position again', async () => {
    const { name, device } = newUser();
    const cursors: string[] = [];
    for (let index = 0; index < 620; index += 20) {
      const some = Array.from({ length: 20 }, () => publish(`user.${name}.a`));
      cursors.push(...(await Promise.all(some)));
    }
    cursors.sort((one, other) => Number(one.split('-')[1]) - Number(other.split('-')[1]));
    await device.counts(`?atLeast=${cursors.at(-1)}`);
    for (let at = 0; at < 600; at += 100) {
      await device.mark('read', { cursors: cursors.slice(at, at + 100) });
    }
    expect(await device.counts()).toMatchObject({ unread: 20 });
    const [state] = (await streamEvents(system.nats.url))
      .filter(({ topic }) => topic === `inbox.${name}`)
      .slice(-1);
    expect((state?.data as InboxData | undefined)?.read).toEqual({
      ...{ upTo: cursors[599], except: [] },
    });
  });
});

describe('permissions', () => {
  test('without inbox: 403; another user: only with admin, and it is logged', async () => {
    const { name, device } = newUser();
    await publish(`user.${name}.a`);
    const without = new InboxUser(system.replay, name, 'subscribe:> history:>');
    expect(await without.ask('')).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect(await device.ask('?sub=somebody')).toMatchObject({ status: 403 });
    const operator = new InboxUser(system.replay, 'operator', 'admin');
    expect((await operator.page(`?sub=${name}`)).items).toHaveLength(1);
    const line = system.replay.logs.find(({ msg, sub }) => msg === 'inbox read' && sub === name);
    expect(line).toMatchObject({ audit: true, by: 'operator', path: '/v1/inbox' });
    expect(await operator.ask(`/marks?sub=${name}`, { mark: 'read', upTo: 'a-1' })).toMatchObject({
      status: 403,
    });
  });

  test('a follow: needs a grant to subscribe, at each read again', async () => {
    const { name, device } = newUser();
    expect(await device.ask('/follows', { change: 'follow', pattern: 'secret.>' })).toMatchObject({
      status: 403,
      body: { code: 'forbidden' },
    });
    await device.change('follow', `project.${name}`);
    const item = await publish(`project.${name}`);
    expect(await device.counts(`?atLeast=${item}`)).toMatchObject({ unread: 1 });
    const narrower = new InboxUser(system.replay, name, 'inbox:> subscribe:news.>');
    expect(await narrower.page()).toMatchObject({ items: [], unread: 0 });
    expect((await narrower.follows()).follows).toMatchObject([{ permitted: false }]);
    expect(await narrower.ask('/marks', { mark: 'read', cursors: [item] })).toMatchObject({
      status: 404,
    });
    expect(await device.counts()).toMatchObject({ unread: 1 });
  });

  test('the topic of an inbox: its owner hears and reads it, another user does not', async () => {
    const { name, device } = newUser();
    const token = await makeToken('inbox:>', name);
    const client = system.open({ token });
    await client.first('welcome');
    client.send({ type: 'subscribe', id: 'own', topics: [`inbox.${name}`] });
    await client.first('subscribed');
    client.send({ type: 'subscribe', id: 'foreign', topics: ['inbox.somebody'] });
    expect(await client.first('error')).toMatchObject({ id: 'foreign', code: 'forbidden' });
    await device.change('follow', 'news.>');
    const { event } = await client.first('event');
    expect(event).toMatchObject({
      publisher: name,
      type: 'tidemark.inbox.changed',
      data: {
        topics: [`user.${name}.>`],
        follows: [{ pattern: 'news.>' }],
        counts: { unread: 0 },
        change: { change: 'follow', pattern: 'news.>' },
      },
    });
  });

  test('nobody but replay writes to the topic: HTTP, WebSocket, and NATS', async () => {
    const { name } = newUser();
    const topic = `inbox.${name}`;
    await expect(publish(topic)).rejects.toThrow('403');
    const client = system.open();
    await client.first('welcome');
    client.send({ type: 'publish', id: 'p', event: { type: 'x', topic } });
    expect(await client.first('error')).toMatchObject({ id: 'p', code: 'forbidden' });
    const connections = await connectUsers(system.nats.url);
    const publisher = connections.get('publisher');
    // Its own permissions allow it, and the account leads it astray.
    await expect(publisher?.request(`tidemark.events.${topic}`, '{}')).rejects.toThrow();
    for (const connection of connections.values()) await connection.close();
    const stored = await streamEvents(system.nats.url);
    expect(stored.some((event) => event.topic === topic)).toBe(false);
  });

  test('an event on the topic that no service wrote: counts for nothing', async () => {
    const { name, device } = newUser();
    const item = await publish(`user.${name}.a`);
    await device.counts(`?atLeast=${item}`);
    await device.mark('read', { upTo: item });
    await withNats(system.nats.url, async (operator) => {
      const event = {
        specversion: '1.0',
        id: 'forged',
        source: '/x',
        type: 'tidemark.inbox.changed',
      };
      const forged = { ...event, publisher: name, data: { read: 'nonsense' } };
      await operator.request(`tidemark.events.inbox.${name}`, JSON.stringify(forged));
    });
    const unread = await device.mark('unread', { cursors: [item] });
    expect(unread).toMatchObject({ unread: 1, changed: expect.any(String) });
  });
});

describe('bad input', () => {
  const upTo = 'upTo';
  test.each([
    ['/marks', { mark: 'read' }, 400, 'invalid_query'],
    ['/marks', { mark: 'read', upTo, cursors: ['a-1'] }, 400, 'invalid_query'],
    ['/marks', { mark: 'unread', upTo: 'a-1' }, 400, 'invalid_query'],
    ['/marks', { mark: 'snoozed', cursors: ['a-1'] }, 400, 'invalid_query'],
    [
      '/marks',
      { mark: 'read', cursors: ['a-1'], until: '2026-01-01T00:00:00Z' },
      400,
      'invalid_query',
    ],
    ['/marks', { mark: 'liked', upTo: 'a-1' }, 400, 'invalid_query'],
    ['/marks', { mark: 'read', upTo: 'a-1', more: 1 }, 400, 'invalid_query'],
    ['/marks', { mark: 'read', upTo: 'nonsense' }, 400, 'invalid_cursor'],
    ['/marks', { mark: 'read', upTo: 'otherlog-1' }, 400, 'invalid_cursor'],
    ['/marks', { mark: 'read', cursors: ['otherlog-1'] }, 400, 'invalid_cursor'],
    ['/marks', { mark: 'read', cursors: Array(101).fill('a-1') }, 400, 'invalid_query'],
    ['/marks', { mark: 'snoozed', cursors: ['a-1'], until: 'soon' }, 400, 'invalid_time'],
    ['/marks', [], 400, 'invalid_query'],
    ['/marks', { mark: 'read', upTo: 'a-1', id: 'with space' }, 400, 'invalid_query'],
    ['/follows', { change: 'follow', pattern: 'a..b' }, 400, 'invalid_pattern'],
    ['/follows', { change: 'follow', pattern: 'news.a', types: [] }, 400, 'invalid_query'],
    ['/follows', { change: 'adore', pattern: 'news.a' }, 400, 'invalid_query'],
    ['?state=odd', undefined, 400, 'invalid_query'],
    ['?group=odd', undefined, 400, 'invalid_query'],
    ['?limit=0', undefined, 400, 'invalid_query'],
    ['?before=nonsense', undefined, 400, 'invalid_cursor'],
    ['?before=otherlog-1', undefined, 400, 'invalid_cursor'],
    ['?topics=a..b', undefined, 400, 'invalid_pattern'],
    ['?nonsense=1', undefined, 400, 'invalid_query'],
    ['/counts?atLeast=otherlog-5', undefined, 400, 'invalid_cursor'],
  ])('%s %j: %i %s', async (path, body, status, code) => {
    const { device } = newUser();
    expect(await device.ask(path, body)).toMatchObject({ status, body: { code } });
    expect(await device.follows()).toMatchObject({ follows: [], mutes: [] });
  });

  test("marks on other people's items, and beyond the end: refused, and nothing changed", async () => {
    const { name, device } = newUser();
    const own = await publish(`user.${name}.a`);
    const foreign = await publish('user.somebody.a');
    await device.counts(`?atLeast=${foreign}`);
    const answer = await device.ask<{ faults: unknown }>('/marks', {
      mark: 'read',
      cursors: [own, foreign],
    });
    expect(answer).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(answer.body.faults).toMatchObject([{ path: 'cursors[1]' }]);
    const beyond = own.replace(/\d+$/, '999999');
    expect(await device.ask('/marks', { mark: 'read', upTo: beyond })).toMatchObject({
      status: 400,
      body: { code: 'invalid_cursor' },
    });
    expect(await device.counts()).toMatchObject({ unread: 1 });
  });

  test('follows beyond the limit: refused by name, and those before stay', async () => {
    const { device } = newUser();
    for (let index = 0; index < 5; index++) await device.change('follow', `news.${index}`);
    const refused = await device.ask('/follows', { change: 'follow', pattern: 'news.more' });
    expect(refused).toMatchObject({
      status: 429,
      body: { code: 'limit_exceeded', retryable: false },
    });
    expect(await limitHits(system.replay, 'inbox_follows')).toBe(1);
    expect((await device.follows()).follows).toHaveLength(5);
  });

  test('a user whose name makes no topic: a typed error', async () => {
    const device = new InboxUser(system.replay, 'ü'.repeat(100));
    expect(await device.ask('')).toMatchObject({ status: 400, body: { code: 'invalid_topic' } });
  });

  test('a user with a strange name: an inbox like any other', async () => {
    const device = new InboxUser(system.replay, 'auth0|x.>', INBOX_SCOPE);
    const cursor = await publish('user.auth0_-7c-_x_-2e3e-_.a');
    expect(await device.page(`?atLeast=${cursor}`)).toMatchObject({ items: [{ cursor }] });
    expect(await device.mark('read', { upTo: cursor })).toMatchObject({ unread: 0 });
  });
});

test('metrics: requests, changes and appends', async () => {
  const text = await metricsOf(system.replay);
  expect(text).toMatch(/history_query_seconds_count\{.*query="inbox counts".*\} \d/);
  expect(text).toMatch(/inbox_changes_total\{.*result="changed".*\} \d/);
  expect(text).toMatch(/replay_append_seconds_count\{.*\} \d/);
});

async function metricsOf({ url }: Service): Promise<string> {
  return (await fetch(`${url}/metrics`)).text();
}

test('an item that expires: is counted until then, and the counts tell when', async () => {
  const { name, device } = newUser();
  await publish(`user.${name}.a`);
  const expires = new Date(Date.now() + 2500).toISOString();
  const item = await publish(`user.${name}.a`, { expires });
  const before = await device.counts(`?atLeast=${item}`);
  expect(before).toMatchObject({ unread: 2, until: expires });
  await new Promise((resolve) => setTimeout(resolve, Date.parse(expires) - Date.now() + 20));
  const page = await device.page();
  expect(page).toMatchObject({ unread: 1 });
  expect(page.until).toBeUndefined();
  expect(page.items).toHaveLength(1);
  expect(await device.ask('/marks', { mark: 'read', cursors: [item] })).toMatchObject({
    status: 404,
  });
});
