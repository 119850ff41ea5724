import {
  beginLiveInbox,
  type CloudEvent,
  followInbox,
  inboxTopic,
  type LiveInbox,
  liveCounts,
  noticesOf,
  parseCursor,
  RECOUNT_WITHIN_MS,
  renewLiveInbox,
} from '@tidemark/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { erase } from '../support/erasures.ts';
import { makeToken, type Service } from '../support/services.ts';
import { type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';
import type { WebSocketClient } from '../support/web-socket-client.ts';
import { INBOX_SCOPE, InboxUser, publishItem } from './inbox-setup.ts';
import { ask, askPage } from './replay-setup.ts';

/* PROTOCOL.md sections 13.3 and 14.6: live counts after erasures, with two replay services. */

let system: System;
let second: Service;
beforeAll(async () => {
  system = await startSystem();
  second = await system.startReplay();
  await second.waitUntilReady();
});
afterAll(() => system?.stop());

/** A client that counts by itself, as section 14.6 says. */
class LiveClient {
  readonly #user: InboxUser;
  readonly #socket: WebSocketClient;
  live: LiveInbox;
  #taken = 0;
  #last: string;

  static async open(name: string, after?: string): Promise<LiveClient> {
    const user = new InboxUser(system.replay, name);
    const counts = await user.counts();
    const { topics, follows, mutes } = await user.follows();
    const socket = system.open({ token: await makeToken(INBOX_SCOPE, name) });
    await socket.first('welcome');
    const wanted = [inboxTopic(name) ?? '', ...topics, ...follows.map(({ pattern }) => pattern)];
    const all = [...wanted, ...wanted.map(noticesOf)];
    socket.send({ type: 'subscribe', id: 'inbox', topics: all, after: after ?? counts.cursor });
    await socket.first('live', 'inbox');
    return new LiveClient(user, socket, beginLiveInbox({ topics, follows, mutes }, counts));
  }

  constructor(user: InboxUser, socket: WebSocketClient, live: LiveInbox) {
    this.#user = user;
    this.#socket = socket;
    this.live = live;
    this.#last = live.counts.cursor;
  }

  get counts() {
    const events = this.#socket.all('event');
    for (const { cursor, event } of events.slice(this.#taken)) {
      this.live = followInbox(this.live, { cursor, event: event as CloudEvent });
      this.#last = cursor;
    }
    this.#taken = events.length;
    return liveCounts(this.live, Date.now());
  }

  get notices() {
    const events = this.#socket.all('event').map(({ event }) => event as CloudEvent);
    return events.filter(({ type }) => type === 'tidemark.erased');
  }

  async askAgain(): Promise<void> {
    const counts = await this.#user.counts(`?atLeast=${this.#last}`);
    const { topics, follows, mutes } = await this.#user.follows();
    this.live = renewLiveInbox(this.live, { topics, follows, mutes }, counts);
  }

  close(): void {
    this.#socket.close();
  }
}

async function hears(client: LiveClient, notices: number): Promise<void> {
  await until(
    () => client.notices.length === notices,
    () => JSON.stringify(client.notices),
  );
}

test('live counts: an erased item that came behind them: leaves them at once, at every client, and nobody asks', async () => {
  const bob = new InboxUser(system.replay, 'bob');
  await bob.change('follow', 'news.>');
  const own = await LiveClient.open('bob');
  await publishItem(system, 'user.bob.a');
  const gone = await publishItem(system, 'news.today');
  const other = await publishItem(system, 'news.today');
  await until(() => own.counts.unread === 3);
  const { cursor } = await erase(second, { cursor: gone });
  await hears(own, 1);
  expect(own.notices[0]).toMatchObject({
    topic: 'tidemark.erased.news.today',
    data: { record: cursor, cursors: [gone] },
  });
  expect(own.counts).toEqual({ unseen: 2, unread: 2, more: false, stale: false });
  for (const replay of [system.replay, second]) {
    const user = new InboxUser(replay, 'bob');
    expect(await user.counts(`?atLeast=${cursor}`)).toMatchObject({ unread: 2 });
  }
  const next = await erase(system.replay, { cursor: other });
  await hears(own, 2);
  // Both services tell of it, and the stream stores it once.
  for (const replay of [system.replay, second]) {
    await until(async () => {
      const path = `/v1/admin/erasures/${next.cursor}`;
      const { status, text } = await ask(replay, path, { scope: 'admin' });
      return status === 200 && JSON.parse(text).complete;
    }, 'complete');
  }
  const { items } = await askPage(
    second,
    `/v1/events?topics=tidemark.erased.>&atLeast=${next.cursor}`,
  );
  expect(items).toHaveLength(2);
  expect(own.counts).toMatchObject({ unread: 1, stale: false });
  own.close();
});

test('live counts: an erased item that they may include: stale until asked for, and exact then', async () => {
  const cursors: string[] = [];
  for (let count = 0; count < 3; count++) {
    cursors.push(await publishItem(system, 'user.carol.a', { source: '/carol', id: `c${count}` }));
  }
  const carol = new InboxUser(system.replay, 'carol');
  await carol.counts(`?atLeast=${cursors[2]}`);
  const client = await LiveClient.open('carol');
  expect(client.counts.unread).toBe(3);
  const targets = [
    { cursor: cursors[0] },
    { source: '/carol', id: 'c1' },
    { topic: 'user.carol.a' },
  ];
  for (const [index, target] of targets.entries()) {
    await erase(index === 1 ? second : system.replay, target);
    await hears(client, index + 1);
    expect(client.counts).toMatchObject({ stale: true, askWithinMs: RECOUNT_WITHIN_MS });
    await client.askAgain();
    const left = 2 - index;
    expect(client.counts).toEqual({ unseen: left, unread: left, more: false, stale: false });
  }
  client.close();
});

test('live counts: a client that was away during the erasure: hears of it when it comes back', async () => {
  const gone = await publishItem(system, 'user.dave.a');
  await publishItem(system, 'user.dave.b');
  const dave = new InboxUser(system.replay, 'dave');
  const before = await dave.counts(`?atLeast=${gone}`);
  const { cursor } = await erase(system.replay, { cursor: gone });
  const after = await dave.counts(`?atLeast=${cursor}`);
  const client = await LiveClient.open('dave', before.cursor);
  await hears(client, 1);
  // Its counts are newer than the record.
  expect(parseCursor(after.cursor).sequence).toBeGreaterThanOrEqual(
    parseCursor(cursor ?? '').sequence,
  );
  expect(client.counts).toMatchObject({ unread: 1, stale: false });
  client.close();
});

test('notices of erasures: who may not read a topic: may not read its notices either', async () => {
  const socket = system.open({ token: await makeToken('subscribe:news.>', 'eve') });
  await socket.first('welcome');
  for (const [id, topics] of Object.entries({
    one: ['tidemark.erased.user.bob.a'],
    all: ['tidemark.erased.>'],
    records: ['tidemark.erasures'],
  })) {
    socket.send({ type: 'subscribe', id, topics, after: 'latest' });
    expect(await socket.first('error', id)).toMatchObject({ code: 'forbidden' });
  }
  socket.send({
    type: 'subscribe',
    id: 'own',
    topics: ['tidemark.erased.news.*'],
    after: 'latest',
  });
  await socket.first('live', 'own');
});
