import type { Inbox } from '@tidemark/client/inbox';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Random } from '../simulation/random.ts';
import { erase } from '../support/erasures.ts';
import { type System, startSystem } from '../support/system.ts';
import { Devices } from './client-inbox-setup.ts';
import { publishItem } from './inbox-setup.ts';

/*
 * Devices of one user that do what they like at the same time, while events come. Every so often all is quiet, and each
 * must show exactly what the service answers. `INBOX_SEED=7` chooses another run.
 */

const SEED = Number(process.env.INBOX_SEED ?? 1);
const STEPS = 400;
const QUIET_STEPS = 40;
const NAME = 'random';
const TOPICS = [`user.${NAME}.a`, `user.${NAME}.b`, 'news.x', 'news.y', 'user.bob.a'];
const PATTERNS = ['news.>', 'news.x', `user.${NAME}.b`, 'user.bob.*'];

/** Most promises of marks that wait at one time; the queue takes no more than 100. */
const WAITING_MAX = 50;

let system: System;
beforeAll(async () => {
  system = await startSystem({
    env: {
      TIDEMARK_GATEWAY_HEARTBEAT_MS: '300',
      TIDEMARK_REPLAY_INBOX_CHANGES_PER_SECOND_MAX: '1000',
    },
  });
});
afterAll(() => system?.stop());

/** Makes one thing happen after the other, and waits for none of the marks. */
class Actions {
  readonly #random: Random;
  readonly #inboxes: readonly Inbox[];
  readonly #stored: string[] = [];
  #marks: Promise<unknown>[] = [];
  last = '';
  refused = 0;

  constructor(random: Random, inboxes: readonly Inbox[]) {
    this.#random = random;
    this.#inboxes = inboxes;
  }

  async perform(): Promise<void> {
    const chosen = this.#random.between(1, 100);
    if (chosen <= 45) await this.#publish();
    else if (chosen <= 55) this.#follow();
    else if (chosen <= 58) await this.#erase();
    else if (chosen <= 62) await this.#inbox.older();
    else if (chosen <= 75) this.#markUpTo();
    else this.#markSome();
    if (this.#marks.length >= WAITING_MAX) await this.settle();
  }

  async settle(): Promise<void> {
    await Promise.all(this.#marks.splice(0));
  }

  get #inbox(): Inbox {
    return this.#random.pick(this.#inboxes);
  }

  async #publish(): Promise<void> {
    const expires = new Date(Date.now() + this.#random.between(500, 3000)).toISOString();
    const topic = this.#random.pick(TOPICS);
    const type = this.#random.pick(['note', 'noise']);
    const more = { type, ...(this.#random.chance(0.1) && { expires }) };
    this.last = await publishItem(system, topic, more);
    this.#stored.push(this.last);
  }

  #follow(): void {
    const change = this.#random.pick(['follow', 'follow', 'unfollow', 'mute', 'unmute'] as const);
    const types = this.#random.chance(0.3) ? ['noi*'] : undefined;
    this.#keep(this.#inbox[change](this.#random.pick(PATTERNS), types));
  }

  async #erase(): Promise<void> {
    if (this.#stored.length === 0) return;
    const { cursor } = await erase(system.replay, { cursor: this.#random.removeAny(this.#stored) });
    this.last = cursor ?? this.last;
  }

  #markUpTo(): void {
    const mark = this.#random.pick(['seen', 'seen', 'read', 'archive'] as const);
    const inbox = this.#inbox;
    const { items } = inbox.view;
    if (items.length === 0) return;
    const { cursor } = items[Math.floor(items.length * (0.3 + 0.7 * this.#random.next()))] ?? {};
    if (cursor) this.#keep(inbox[mark]({ upTo: cursor }));
  }

  #markSome(): void {
    const inbox = this.#inbox;
    const known = [...inbox.view.items.map(({ cursor }) => cursor), ...this.#stored.slice(-3)];
    if (known.length === 0) return;
    const cursors = [...new Set([this.#random.pick(known), this.#random.pick(known)])];
    const until = new Date(Date.now() + this.#random.between(-500, 2000));
    const marks = [
      () => inbox.seen({ cursors }),
      () => inbox.read({ cursors }),
      () => inbox.unread(cursors),
      () => inbox.archive({ cursors }),
      () => inbox.unarchive(cursors),
      () => inbox.snooze(cursors, until),
    ];
    this.#keep(this.#random.pick(marks)());
  }

  /** What is no item of the inbox, or was erased, is refused. */
  #keep(mark: Promise<void>): void {
    const known = mark.catch((error: { code?: string }) => {
      this.refused++;
      expect(error.code).toBe('not_found');
    });
    this.#marks.push(known);
  }
}

async function showAll(inbox: Inbox): Promise<void> {
  while (inbox.view.hasOlder) await inbox.older();
}

test('inbox: devices that do what they like, with outages: show exactly what the service answers', async () => {
  // An erasure is asked about soon.
  const devices = new Devices(system, NAME, () => 0.001);
  const inboxes = [
    await devices.open({ limit: 5 }),
    await devices.open({ limit: 50 }),
    await devices.open({ state: 'archived' }),
  ] as const;
  const actions = new Actions(new Random(SEED), inboxes);
  for (let step = 1; step <= STEPS; step++) {
    await actions.perform();
    if (step === 100) await system.gateway.restart();
    if (step === 220) await system.replay.restart();
    if (step % QUIET_STEPS > 0) continue;
    await actions.settle();
    for (const [index, inbox] of inboxes.entries()) {
      const query = index === 2 ? '&state=archived' : '';
      await devices.agrees(inbox, { atLeast: actions.last, query }, showAll);
    }
  }
  expect(actions.refused).toBeLessThan(STEPS / 4);
  devices.close();
}, 240_000);
