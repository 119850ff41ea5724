import { expect, test } from 'vitest';
import { AppendWindow, WINDOW_EVENTS } from './append-window.ts';

const PATIENT = { waitMsMax: 60_000 };

function createWindow() {
  const hits: string[] = [];
  const window = new AppendWindow({ hit: (limit) => hits.push(limit) });
  const order: string[] = [];
  const enter = async (user: string, events: number, connection: object = {}) => {
    const leave = await window.enter({ flow: { user, connection }, events, ...PATIENT });
    order.push(user);
    return leave;
  };
  return { window, hits, order, enter };
}

/** Lets everything run that waits for promises. */
async function settle(): Promise<void> {
  for (let n = 0; n < 10; n++) await Promise.resolve();
}

test('requests while there is room: none waits', async () => {
  const { window, enter } = createWindow();
  const leaves = await Promise.all(
    Array.from({ length: 10 }, () => enter('a', WINDOW_EVENTS / 10)),
  );
  expect([window.used, window.waiting]).toEqual([WINDOW_EVENTS, 0]);
  for (const leave of leaves) leave();
  expect(window.used).toBe(0);
});

test('a request with more events than may be on their way: is let in when there is room', async () => {
  const { window, enter } = createWindow();
  const leave = await enter('a', 10_000);
  const next = enter('a', 1);
  expect(window.waiting).toBe(1);
  leave();
  (await next)();
  expect(window.used).toBe(0);
});

test('one user has much waiting: another comes after one request of it', async () => {
  const { order, enter } = createWindow();
  const flood = Array.from({ length: 50 }, () => enter('flood', WINDOW_EVENTS / 2));
  const first = await Promise.all(flood.slice(0, 2));
  const one = enter('one', 1);
  await settle();
  first[0]?.();
  first[1]?.();
  await settle();
  expect(order.indexOf('one')).toBeLessThanOrEqual(4);
  (await one)();
});

test('leaving twice: gives back once', async () => {
  const { window, enter } = createWindow();
  const [leave, other] = [await enter('a', 200), await enter('a', 200)];
  leave();
  leave();
  expect(window.used).toBe(200);
  other();
});

test('waiting too long: unavailable, which is counted, and its place is free for others', async () => {
  const { window, hits, enter } = createWindow();
  const leave = await enter('a', WINDOW_EVENTS);
  const flow = { user: 'b', connection: {} };
  await expect(window.enter({ flow, events: 1, waitMsMax: 20 })).rejects.toMatchObject({
    code: 'unavailable',
    details: { retryAfterSeconds: 1 },
  });
  expect(hits).toEqual(['publish_wait']);
  expect(window.waiting).toBe(0);
  leave();
  expect(window.used).toBe(0);
});
