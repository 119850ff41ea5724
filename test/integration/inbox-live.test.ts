import {
  beginLiveInbox,
  type CloudEvent,
  followInbox,
  type LiveInbox,
  liveCounts,
  parseCursor,
} from '@tidemark/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeToken, type Service } from '../support/services.ts';
import { type System, startSystem, streamEvents } from '../support/system.ts';
import { until } from '../support/until.ts';
import type { WebSocketClient } from '../support/web-socket-client.ts';
import { INBOX_SCOPE, InboxUser, publishItem } from './inbox-setup.ts';

/*
 * Two replay services, a gateway and a client that counts by itself: what each says of an inbox is compared with a plain
 * recount of the stream. `INBOX_SEED=7` chooses another run.
 */

const SEED = Number(process.env.INBOX_SEED ?? 1);
const STEPS = 60;
const NAME = 'alice';
const TOPICS = [`user.${NAME}.a`, `user.${NAME}.b`, 'news.x', 'news.y', 'user.bob.a'];

let system: System;
let replicas: Service[];
beforeAll(async () => {
  system = await startSystem();
  const second = await system.startReplay();
  await second.waitUntilReady();
  replicas = [system.replay, second];
});
afterAll(() => system?.stop());

/** Mulberry32. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below) | 0;
  };
}

/** A client with one subscription to all that concerns its inbox. */
class LiveClient {
  readonly #socket: WebSocketClient;
  #live: LiveInbox;
  #sequence: number;
  #taken = 0;

  static async open(device: InboxUser): Promise<LiveClient> {
    const counts = await device.counts();
    const { topics, follows, mutes } = await device.follows();
    const token = await makeToken(INBOX_SCOPE, NAME);
    const socket = system.open({ token });
    await socket.first('welcome');
    const wanted = [`inbox.${NAME}`, ...topics, 'news.>'];
    socket.send({ type: 'subscribe', id: 'inbox', topics: wanted, after: counts.cursor });
    await socket.first('live', 'inbox');
    return new LiveClient(socket, beginLiveInbox({ topics, follows, mutes }, counts));
  }

  constructor(socket: WebSocketClient, live: LiveInbox) {
    this.#socket = socket;
    this.#live = live;
    this.#sequence = parseCursor(live.counts.cursor).sequence;
  }

  /** The counts once everything up to a cursor has come that may concern the inbox. */
  async countsAt(cursor: string) {
    const { sequence } = parseCursor(cursor);
    const wanted = (await streamEvents(system.nats.url)).findLastIndex(({ topic }) => {
      return (
        topic === `inbox.${NAME}` || topic.startsWith('news.') || topic.startsWith(`user.${NAME}.`)
      );
    });
    await until(() => {
      this.#take();
      return this.#sequence >= Math.min(sequence, wanted + 1);
    });
    return liveCounts(this.#live, Date.now());
  }

  #take(): void {
    const events = this.#socket.all('event');
    for (const { cursor, event } of events.slice(this.#taken)) {
      this.#live = followInbox(this.#live, { cursor, event: event as CloudEvent });
      this.#sequence = Math.max(this.#sequence, parseCursor(cursor).sequence);
    }
    this.#taken = events.length;
  }
}

/** A plain user: sets of sequences, and follows with their begins. */
class Plain {
  readonly seen = new Set<number>();
  readonly read = new Set<number>();
  readonly archived = new Set<number>();
  readonly follows = new Map<string, number>();
  readonly mutes = new Set<string>();

  follow(change: string, pattern: string, since: number): void {
    if (change === 'follow') this.follows.set(pattern, this.follows.get(pattern) ?? since);
    if (change === 'unfollow') this.follows.delete(pattern);
    if (change === 'mute') this.mutes.add(pattern);
    if (change === 'unmute') this.mutes.delete(pattern);
  }

  mark(mark: 'seen' | 'read' | 'unread' | 'archived', sequences: readonly number[]): void {
    for (const one of sequences) {
      if (mark === 'unread') this.read.delete(one);
      else this[mark].add(one);
    }
  }

  async recount() {
    const events = await streamEvents(system.nats.url);
    const unread = events.flatMap(({ topic }, index) => {
      const sequence = index + 1;
      const isRead = this.read.has(sequence) || this.archived.has(sequence);
      return this.#isItem(topic, sequence) && !isRead ? [sequence] : [];
    });
    const unseen = unread.filter((sequence) => !this.seen.has(sequence));
    return { unseen: unseen.length, unread: unread.length, more: false };
  }

  #isItem(topic: string, sequence: number): boolean {
    if ([...this.mutes].some((pattern) => covers(pattern, topic))) return false;
    if (topic.startsWith(`user.${NAME}.`)) return true;
    return [...this.follows].some(([one, since]) => covers(one, topic) && sequence > since);
  }
}

const covers = (pattern: string, topic: string) =>
  pattern === topic || (pattern.endsWith('.>') && topic.startsWith(pattern.slice(0, -1)));

type Random = (below: number) => number;

/** Random items, follows and marks, of whichever device. */
class Actions {
  readonly plain = new Plain();
  /** The cursor of the last event that was stored. */
  last = '';
  readonly #random: Random;
  readonly #devices: readonly InboxUser[];
  readonly #items: string[] = [];

  constructor(random: Random, devices: readonly InboxUser[]) {
    this.#random = random;
    this.#devices = devices;
  }

  async perform(): Promise<void> {
    const chosen = this.#random(10);
    if (chosen < 5 || this.#items.length === 0) await this.#publish();
    else if (chosen < 7) await this.#follow();
    else await this.#mark();
  }

  async #publish(): Promise<void> {
    const topic = this.#oneOf(TOPICS);
    this.last = await publishItem(system, topic);
    if (topic.startsWith(`user.${NAME}.`)) this.#items.push(this.last);
  }

  async #follow(): Promise<void> {
    const change = this.#oneOf(['follow', 'unfollow', 'mute', 'unmute']);
    const pattern = this.#oneOf(['news.>', 'news.x']);
    const { changed, cursor } = await this.#oneOf(this.#devices).change(change, pattern);
    this.last = changed ?? this.last;
    this.plain.follow(change, pattern, parseCursor(cursor).sequence);
  }

  async #mark(): Promise<void> {
    const item = this.#oneOf(this.#items);
    const { sequence } = parseCursor(item);
    const mark = this.#oneOf(['seen', 'read', 'unread', 'archived'] as const);
    const isPosition = mark !== 'unread' && this.#random(2) === 0;
    const where = isPosition ? { upTo: item } : { cursors: [item] };
    const { changed } = await this.#oneOf(this.#devices).mark(mark, where);
    this.last = changed ?? this.last;
    const all = Array.from({ length: sequence }, (_, index) => index + 1);
    this.plain.mark(mark, isPosition ? all : [sequence]);
  }

  #oneOf<T>(list: readonly T[]): T {
    return list[this.#random(list.length)] as T;
  }
}

test('inbox: two replay services, several devices, and a client that counts: equal to a recount at each step', async () => {
  const devices = replicas.map((replica) => new InboxUser(replica, NAME));
  const actions = new Actions(randomFrom(SEED), devices);
  const live = await LiveClient.open(devices[0] as InboxUser);
  for (let step = 0; step < STEPS; step++) {
    await actions.perform();
    const expected = await actions.plain.recount();
    for (const device of devices) {
      expect(await device.counts(`?atLeast=${actions.last}`), `${step}`).toMatchObject(expected);
    }
    expect(await live.countsAt(actions.last), `${step}`).toEqual({ ...expected, stale: false });
  }
}, 120_000);
