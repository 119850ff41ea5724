import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { makeToken } from '../support/services.ts';
import { numbered } from '../support/system.ts';
import { until } from '../support/until.ts';
import { operatorToken } from './console.ts';
import { startEventSystem } from './event-system.ts';
import { CHROMIUM, setStage } from './stage.ts';

/* The page with a subscriber that can be cut off. */

/** The page asks each second. */
const HEAD_LATE_MS = 2500;

describe.skipIf(CHROMIUM === undefined)('console: try it (needs Chromium)', () => {
  const stage = setStage(startEventSystem);
  /** WebSockets of the page that are open. */
  let sockets = 0;

  async function open(token?: string): Promise<Page> {
    const { page, go } = await stage.open(token ?? (await operatorToken()));
    sockets = 0;
    page.on('websocket', (socket) => {
      sockets++;
      socket.on('close', () => sockets--);
    });
    await page.getByRole('navigation', { name: 'Pages' }).waitFor();
    await go('try-it');
    return page;
  }

  const publish = (page: Page, name: string) =>
    page.getByRole('button', { name, exact: true }).click();
  const untilLive = (page: Page) =>
    page.locator('.panel-head .badge', { hasText: /^live$/ }).waitFor();
  const figure = async (page: Page, name: string) =>
    (await page.locator('dt', { hasText: name }).locator('..').locator('dd').textContent()) ?? '';
  const boxes = (page: Page, how: string) => page.locator(`.try-events .try-box.${how}`);

  test('cut off and back: its socket is closed, nothing is lost, and what was missed is marked', async () => {
    const page = await open();
    await untilLive(page);
    await publish(page, 'Publish one event');
    await publish(page, 'Publish one event');
    await page.getByText('2 live, 0 caught up').waitFor();
    expect(sockets).toBe(2);

    await page.getByRole('switch', { name: 'Connection' }).click();
    await page.getByText('cut off').waitFor();
    await until(() => sockets === 1, 'the end of the subscriber’s socket');
    const position = await figure(page, 'Position');
    await publish(page, 'Publish 10');
    await until(async () => (await boxes(page, 'not-received').count()) === 10);
    await until(async () => (await figure(page, 'Behind')) === '10');
    expect(await figure(page, 'Missed of this topic')).toBe('10');
    expect(await figure(page, 'Position')).toBe(position);
    expect(await stage.opened.barriers()).toEqual([]);

    await page.getByRole('switch', { name: 'Connection' }).click();
    await page.getByText('2 live, 10 caught up').waitFor();
    await publish(page, 'Publish one event');
    await page.getByText('3 live, 10 caught up').waitFor();
    await until(async () => (await figure(page, 'Behind')) === '0');
    const numbers = await page.locator('.try-events .try-box').allTextContents();
    expect(numbers.map((text) => Number.parseInt(text, 10))).toEqual(
      Array.from({ length: 13 }, (_, index) => index + 1),
    );
    expect(await boxes(page, 'catch-up').count()).toBe(10);
  });

  test('the gateway killed: comes back by itself, and catches up', async () => {
    const page = await open();
    await untilLive(page);
    await publish(page, 'Publish one event');
    await page.getByText('1 live, 0 caught up').waitFor();
    const topic = await page.getByRole('textbox', { name: 'Topic' }).inputValue();
    await stage.system.gateway.kill('SIGKILL');
    await page.getByText('offline').waitFor();
    await stage.system.publisher.store(numbered(topic, 2));
    await stage.system.gateway.restart();
    await page.getByText('1 live, 1 caught up').waitFor();
  });

  test('only the newest after an absence: the others are skipped, and shown as such', async () => {
    const page = await open();
    await page.getByLabel('Only the newest event after an absence').check();
    await untilLive(page);
    await publish(page, 'Publish one event');
    await page.getByText('1 live, 0 caught up').waitFor();
    await page.getByRole('switch', { name: 'Connection' }).click();
    await publish(page, 'Publish 10');
    await until(async () => (await boxes(page, 'not-received').count()) === 10);
    await page.getByRole('switch', { name: 'Connection' }).click();
    await page.getByText('1 live, 1 caught up').waitFor();
    await until(async () => (await boxes(page, 'skipped').count()) === 9);
  });

  test('events of others: come too, while the publisher may do nothing', async () => {
    const page = await open(await makeToken('subscribe:orders.> history:orders.>', 'mia'));
    await page.getByText('Which topic?').waitFor();
    await page.getByRole('textbox', { name: 'Topic' }).fill('orders.7');
    await page.getByRole('button', { name: 'Begin anew' }).click();
    await untilLive(page);
    await page.getByText('The token may not publish to').waitFor();
    await stage.system.publisher.store(numbered('orders.7', 1));
    await page.getByText('1 live, 0 caught up').waitFor();
  });

  test('the head: answered later than it is asked for again: is shown all the same', async () => {
    const page = await open();
    await page.route('**/v1/head', async (route) => {
      await sleep(HEAD_LATE_MS);
      await route.continue().catch(() => undefined);
    });
    await page.reload();
    await until(async () => (await figure(page, 'Head of the log')) !== '…');
  });

  test('left for another page: both connections are closed', async () => {
    const page = await open();
    await untilLive(page);
    await publish(page, 'Publish one event');
    await page.getByText('1 live, 0 caught up').waitFor();
    await stage.opened.go('streams');
    await until(() => sockets === 0, 'the end of all sockets');
  });
});
