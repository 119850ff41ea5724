import {
  type CloudEvent,
  type Message,
  memoryStore,
  type Status,
  type Subscription,
  type Tidemark,
} from '@tidemark/client';
import { fakeTidemark } from '@tidemark/client/testing';
import { expect, test, vi } from 'vitest';

/* The double as the tests of an application use it. */

type Events = { 'order.placed': { total: number }; 'order.paid': { total: number } };

/** Code under test: what a page shows of orders. */
class OrderPage {
  readonly lines: string[] = [];
  notice = '';
  readonly #tidemark: Tidemark<Events>;

  constructor(tidemark: Tidemark<Events>) {
    this.#tidemark = tidemark;
    tidemark.on('status', ({ state }) => {
      this.notice = state === 'offline' ? 'No connection' : '';
    });
    const orders = tidemark.subscribe('orders.*', { after: 'earliest' });
    void orders
      .each(async ({ topic, type, data }) => {
        await Promise.resolve();
        this.lines.push(`${topic} ${type} ${data?.total}`);
      })
      .catch((error: Error) => {
        this.notice = error.message;
      });
  }

  async pay(topic: string, total: number, ifMatch: string): Promise<void> {
    try {
      await this.#tidemark.publish({ type: 'order.paid', topic, data: { total } }, { ifMatch });
    } catch (error) {
      this.notice = (error as { code?: string }).code ?? '';
    }
  }
}

/** What a subscription gives, as short texts. */
function outline(subscription: Subscription): string[] {
  const got: string[] = [];
  void (async () => {
    for await (const message of subscription.messages()) got.push(textOf(message));
    got.push('end');
  })().catch((error: { code: string }) => got.push(error.code));
  return got;
}

function textOf(message: Message): string {
  switch (message.type) {
    case 'event':
      return `${message.last ? 'last ' : ''}${message.event.id}`;
    case 'gap':
      return `${message.reason} ${message.from} ${message.to}`;
    case 'skipped':
      return `skipped ${message.count}`;
    default:
      return message.type;
  }
}

test('fake: page: shows what was there, what comes, and what was missed', async () => {
  const fake = fakeTidemark<Events>();
  fake.emit({ type: 'order.placed', topic: 'orders.1', data: { total: 10 } });
  const page = new OrderPage(fake.client);
  await fake.settled();
  fake.emit({ type: 'order.paid', topic: 'orders.1', data: { total: 10 } });
  await fake.settled();
  expect(page.lines).toEqual(['orders.1 order.placed 10', 'orders.1 order.paid 10']);
  fake.disconnect();
  fake.emit({ type: 'order.placed', topic: 'orders.2', data: { total: 5 } });
  await fake.settled();
  expect(page.notice).toBe('No connection');
  expect(page.lines).toHaveLength(2);
  fake.reconnect();
  await fake.settled();
  expect(page.notice).toBe('');
  expect(page.lines.slice(2)).toEqual(['orders.2 order.placed 5']);
});

test('fake: page: publishes on a condition, and says why that failed', async () => {
  const fake = fakeTidemark<Events>();
  const page = new OrderPage(fake.client);
  const cursor = fake.emit({ type: 'order.placed', topic: 'orders.1', data: { total: 10 } });
  await page.pay('orders.1', 10, cursor);
  await page.pay('orders.1', 10, cursor);
  expect(page.notice).toBe('precondition_failed');
  expect(fake.published).toMatchObject([
    { type: 'order.paid', topic: 'orders.1', data: { total: 10 }, publisher: 'tester' },
  ]);
});

test('fake: refusal: meets the next subscription alone, and ends it', async () => {
  const fake = fakeTidemark();
  fake.refuse('forbidden', { message: 'Not for you.' });
  const [refused, taken] = [fake.client.subscribe('a'), fake.client.subscribe('b')];
  const ended = refused.each(() => undefined);
  await expect(ended).rejects.toMatchObject({ code: 'forbidden', message: 'Not for you.' });
  await taken.live;
});

test('fake: refusal that may pass: is tried again until it has passed', async () => {
  const fake = fakeTidemark();
  fake.refuse('unavailable', { next: 'publish', times: 3 });
  fake.refuse('unavailable', { times: 3 });
  const got = outline(fake.client.subscribe('a'));
  await fake.settled();
  await fake.client.publish({ type: 'a', id: 'one' });
  await fake.settled();
  expect(fake.published.map(({ id }) => id)).toEqual(['one']);
  expect(got).toEqual(['live', 'one']);
});

test('fake: publish while disconnected: waits, and is stored once connected', async () => {
  const fake = fakeTidemark();
  fake.disconnect();
  const stored = fake.client.publish({ type: 'a', id: 'one' });
  await fake.settled();
  expect(fake.published).toEqual([]);
  fake.reconnect();
  await expect(stored).resolves.toMatchObject({ id: 'one', duplicate: false });
  await expect(fake.client.publish({ type: 'a', id: 'one' })).resolves.toMatchObject({
    duplicate: true,
  });
  expect(fake.published.map(({ id }) => id)).toEqual(['one']);
});

test('fake: gaps: are told of while connected and to who comes back', async () => {
  const fake = fakeTidemark();
  fake.emit({ type: 'a', id: '1' });
  const got = outline(fake.client.subscribe('a', { after: 'earliest' }));
  await fake.settled();
  fake.gap('expired', 2);
  fake.emit({ type: 'a', id: '4' });
  fake.gap('future');
  await fake.settled();
  fake.disconnect();
  fake.gap('epoch');
  fake.emit({ type: 'a', id: 'new' });
  fake.reconnect();
  await fake.settled();
  expect(got).toEqual([
    ...['1', 'live', 'expired fake1-1 fake1-3', '4', 'future fake1-4 fake1.1-3'],
    ...['epoch fake1.1-3 fake2-0', 'new', 'live'],
  ]);
});

test('fake: expired token: the token function is asked once more, and nothing is lost', async () => {
  let asked = 0;
  const states: Status['state'][] = [];
  const fake = fakeTidemark({ token: () => `mine-${++asked}` });
  fake.client.on('status', ({ state }) => states.push(state));
  const got = outline(fake.client.subscribe('a'));
  await fake.settled();
  fake.expireToken();
  fake.emit({ type: 'a', id: '1' });
  await fake.settled();
  expect([asked, got]).toEqual([2, ['live', '1', 'live']]);
  const shown = states.filter((state) => state !== 'catching-up');
  expect(shown).toEqual(['live', 'offline', 'live']);
});

test('fake: revoked token: the client stops with a reason, and authenticate begins anew', async () => {
  const fake = fakeTidemark();
  const got = outline(fake.client.subscribe('a'));
  await fake.settled();
  fake.revokeToken();
  await fake.settled();
  expect(got).toEqual(['live', 'revoked']);
  expect(fake.client.status).toMatchObject({ state: 'stopped', code: 'revoked' });
  await fake.client.authenticate();
  await fake.client.subscribe('a').live;
});

test('fake: token that is never answered with: settles, and comes back by a further attempt', async () => {
  let isBroken = true;
  const token = () => {
    if (isBroken) throw new Error('no token');
    return 'token';
  };
  const fake = fakeTidemark({ token });
  const got = outline(fake.client.subscribe('a'));
  await fake.settled();
  expect(fake.client.status).toEqual({ state: 'offline' });
  isBroken = false;
  await fake.settled();
  expect(got).toEqual(['live']);
});

test('fake: cursor in a store: is there once settled, and the next client goes on at it', async () => {
  const store = memoryStore();
  const fake = fakeTidemark({ store });
  const got = outline(fake.client.subscribe('a', { name: 'a' }));
  await fake.settled();
  fake.emit({ type: 'a', id: '1' });
  const cursor = fake.emit({ type: 'other' });
  await fake.settled();
  expect(got).toEqual(['live', '1']);
  expect(await store.get('a')).toBe(cursor);
});

test('fake: consumer that is slow: gets all of many events, in order', async () => {
  const fake = fakeTidemark();
  const all = Array.from({ length: 5000 }, (_, index) => String(index + 1));
  for (const id of all) fake.emit({ type: 'a', id });
  const got: string[] = [];
  void fake.client.subscribe('a', { after: 'earliest' }).each(async ({ id }) => {
    for (let n = 0; n < 10; n++) await Promise.resolve();
    got.push(id);
  });
  const newest = outline(fake.client.subscribe('a', { after: 'earliest', deliver: 'latest' }));
  await fake.settled();
  expect(got).toEqual(all);
  expect(newest).toEqual(['5000', 'skipped 4999', 'live']);
});

test('fake: fake timers of the runner: settle all the same', async () => {
  vi.useFakeTimers();
  try {
    const fake = fakeTidemark();
    const got = outline(fake.client.subscribe('a'));
    await fake.settled();
    fake.disconnect();
    fake.emit({ type: 'a', id: '1' });
    fake.reconnect();
    await fake.settled();
    expect(got).toEqual(['live', '1', 'live']);
  } finally {
    vi.useRealTimers();
  }
});

test('fake: event that is wrong: is refused, and nothing is stored', async () => {
  const fake = fakeTidemark();
  const got = outline(fake.client.subscribe('>', { after: 'earliest' }));
  expect(() => fake.emit({ type: 'no topic' })).toThrow(/the type is not a topic/);
  expect(() => fake.emit({ type: 'a', topic: 'a..b' })).toThrow(/must be a topic/);
  await fake.settled();
  expect(got).toEqual(['live']);
});

test('fake: event: is not shared with who emitted it', async () => {
  const fake = fakeTidemark();
  const data = { total: 1 };
  fake.emit({ type: 'a', data });
  data.total = 2;
  const seen: CloudEvent[] = [];
  void fake.client.subscribe('a', { after: 'earliest' }).each((event) => seen.push(event));
  await fake.settled();
  expect(seen).toMatchObject([{ data: { total: 1 } }]);
});
