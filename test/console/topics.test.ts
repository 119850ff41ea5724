import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { makeToken } from '../support/services.ts';
import { appendDirectly, numbered, publishUntil } from '../support/system.ts';
import { until } from '../support/until.ts';
import { startEventSystem } from './event-system.ts';
import { CHROMIUM, setStage } from './stage.ts';

/* The page of topics: the tree, the events of a topic, and the form that publishes. */

const MANY = 10_000;

describe.skipIf(CHROMIUM === undefined)('console: topics (needs Chromium)', () => {
  const stage = setStage(startEventSystem);

  const events = (page: Page) =>
    page.getByRole('list', { name: 'Events, newest first' }).getByRole('listitem');
  const place = (page: Page, name: string) => page.getByRole('treeitem', { name });

  test('tree: with the keyboard alone: is opened, and shows the events of a topic', async () => {
    await stage.system.publisher.storeAll([1, 2, 3].map((n) => numbered('shop.orders.7', n)));
    await stage.system.publisher.store(numbered('shop.chat', 1));
    const page = await stage.openPage('topics');
    await page.getByRole('tree').focus();
    await until(async () => (await place(page, 'shop').count()) > 0);
    await page.keyboard.press('Home');
    for (const key of [
      'ArrowRight',
      'ArrowRight',
      'ArrowDown',
      'ArrowRight',
      'ArrowRight',
      'Enter',
    ])
      await page.keyboard.press(key);
    await page.getByRole('heading', { name: 'Events of shop.orders.7' }).waitFor();
    await until(async () => (await events(page).count()) === 3);
    const first = await events(page).first().textContent();
    expect(first).toContain('shop.orders.7');
    expect(first).toContain('"n":3');
  });

  test('events: one that is published by others: appears on top, and counts in the tree', async () => {
    await stage.system.publisher.store(numbered('live.a', 1));
    const page = await stage.openPage('topics?topics=live.a');
    await page.locator('.badge', { hasText: 'live' }).waitFor();
    const { cursor } = await stage.system.publisher.store(numbered('live.a', 2));
    await until(async () => (await events(page).count()) === 2);
    expect(await events(page).first().getByRole('link').getAttribute('href')).toContain(cursor);
    const item = place(page, 'live').first();
    await until(
      async () => /2$/.test((await item.textContent()) ?? ''),
      'the count of a later reading',
    );
  });

  test('events: while a gateway is away and back: every one is there once, in order', async () => {
    await stage.system.publisher.store(numbered('cut.a', 1));
    const page = await stage.openPage('topics?topics=cut.a');
    await page.locator('.badge', { hasText: 'live' }).waitFor();
    await stage.system.gateway.kill('SIGKILL');
    await page.getByText('offline').waitFor();
    for (const n of [2, 3, 4]) await stage.system.publisher.store(numbered('cut.a', n));
    await stage.system.gateway.restart();
    await until(async () => (await events(page).count()) === 4);
    const texts = await events(page).allTextContents();
    expect(texts.map((text) => /"n":(\d)/.exec(text)?.[1])).toEqual(['4', '3', '2', '1']);
  });

  test('events: opened while they are stored: has each of them once', async () => {
    let isDone = false;
    const publishing = publishUntil(() => isDone, 'flow.a', stage.system.publisher);
    const page = await stage.openPage('topics?topics=flow.a');
    await page.locator('.badge', { hasText: 'live' }).waitFor();
    await page.locator('.events-row.new').first().waitFor();
    isDone = true;
    const total = (await publishing).length;
    await events(page)
      .first()
      .filter({ hasText: `"n":${total},` })
      .waitFor();
    const older = page.getByRole('button', { name: 'Load older events' });
    while ((await older.count()) > 0) {
      await older.click();
      await until(async () => (await page.getByText('Loading …').count()) === 0);
    }
    await page.getByText(`${total.toLocaleString('en')} events loaded`, { exact: true }).waitFor();
  });

  test('events: more than a page, filters and words: lead to those that are meant', async () => {
    const all = Array.from({ length: 250 }, (_, index) => ({
      ...numbered('many.a', index + 1),
      topic: 'many.a',
      type: index % 2 === 0 ? 'even.kind' : 'odd.kind',
    }));
    await stage.system.publisher.storeAll(all);
    const page = await stage.openPage('topics?topics=many.a');
    await page.getByText('100 events loaded').waitFor();
    await page.getByRole('button', { name: 'Load older events' }).click();
    await page.getByText('200 events loaded').waitFor();
    await page.getByRole('button', { name: 'Load older events' }).click();
    await page.getByText('250 events loaded').waitFor();
    expect(await page.getByRole('button', { name: 'Load older events' }).count()).toBe(0);
    await page.getByLabel('Words in what is loaded').fill('ODD.kind "n":2,');
    await page.getByText('1 of 250 loaded events').waitFor();
    await page.getByLabel('Words in what is loaded').fill('');
    await page.getByText('Type, source, time').click();
    await page.getByLabel('Types').fill('even.*');
    await page.getByRole('button', { name: 'Show', exact: true }).click();
    await page.getByRole('button', { name: 'Load older events' }).click();
    await page.getByText('125 events loaded').waitFor();
    expect(page.url()).toContain('type=even.*');
  });

  test('publish: an event: is stored once with what was typed, and leads to its page', async () => {
    const example = { topic: 'form.a', type: 'form.sent', data: { total: 7 } };
    await stage.system.publisher.store({ ...numbered('form.a', 1), ...example });
    const page = await stage.openPage('topics?topics=form.a');
    await page.getByText('1 event loaded').waitFor();
    expect(await page.getByLabel('Topic', { exact: true }).inputValue()).toBe('form.a');
    await page.getByLabel('Type', { exact: true }).fill('form.sent');
    await page.getByText('{ total: number }').waitFor();
    await page.getByRole('button', { name: 'Use its data' }).click();
    const data = page.getByLabel('Data, as JSON');
    expect(JSON.parse(await data.inputValue())).toEqual({ total: 7 });
    await data.fill('{"total": }');
    await page.getByText('This is not JSON').waitFor();
    expect(await page.getByRole('button', { name: 'Publish', exact: true }).isDisabled()).toBe(
      true,
    );
    await data.fill('{"total": 8}');
    await page.getByRole('button', { name: 'Publish', exact: true }).click();
    const link = page.getByText('Stored at').getByRole('link');
    await link.waitFor();
    await page.getByText('2 events loaded').waitFor();
    await link.click();
    await page.getByRole('heading', { name: 'form.sent' }).waitFor();
    await page.getByText('operator', { exact: true }).last().waitFor();
  });

  test('publish: while the gateway is away: is told, and the same event can be sent again', async () => {
    const page = await stage.openPage('topics?topics=again.a');
    await page.getByLabel('Type', { exact: true }).fill('again.sent');
    await stage.system.gateway.kill('SIGKILL');
    await page.getByRole('button', { name: 'Publish', exact: true }).click();
    await page.getByText('can be sent again').waitFor();
    await stage.system.gateway.restart();
    await page.getByRole('button', { name: 'Publish', exact: true }).click();
    await page.getByText('Stored at').waitFor();
    await page.getByText('1 event loaded').waitFor();
  });

  test('a token for some topics: sees these, and publishes only where it may', async () => {
    await stage.system.publisher.store(numbered('mine.a', 1));
    await stage.system.publisher.store(numbered('theirs.a', 1));
    const scope = 'history:mine.> subscribe:mine.> publish:mine.>';
    const page = await stage.openPage('topics', await makeToken(scope, 'mia'));
    await place(page, 'mine').waitFor();
    expect(await place(page, 'theirs').count()).toBe(0);
    await page.getByRole('heading', { name: 'Events of mine.>' }).waitFor();
    await page.getByLabel('Topic', { exact: true }).fill('theirs.a');
    await page.getByText('may not publish to this topic').waitFor();
    await stage.opened.go('topics?topics=theirs.>');
    await page.getByText('forbidden').waitFor();
  });

  test('a token without history: sees what comes from now on', async () => {
    const page = await stage.openPage('topics', await makeToken('subscribe:now.>', 'nia'));
    await page.getByText('only what is stored from now on').waitFor();
    await page.locator('.badge', { hasText: 'live' }).waitFor();
    await stage.system.publisher.store(numbered('now.a', 1));
    await until(async () => (await events(page).count()) === 1);
    expect(await page.getByRole('tree').count()).toBe(0);
  });

  test('events that come while one reads further down: do not move what is read', async () => {
    await stage.system.publisher.storeAll(
      Array.from({ length: 80 }, (_, n) => numbered('calm.a', n + 1)),
    );
    const page = await stage.openPage('topics?topics=calm.a');
    await page.getByText('80 events loaded').waitFor();
    await page.locator('.badge', { hasText: 'live' }).waitFor();
    const list = page.getByRole('list', { name: 'Events, newest first' });
    const row = list.getByRole('link', { name: '"n":41,' });
    await list.evaluate((box) => {
      (box as unknown as { scrollTop: number }).scrollTop = 30 * 30;
    });
    await row.waitFor();
    const before = (await row.boundingBox())?.y;
    await stage.system.publisher.storeAll(
      Array.from({ length: 7 }, (_, n) => numbered('calm.a', n + 81)),
    );
    await page.getByText('87 events loaded').waitFor();
    expect((await row.boundingBox())?.y).toBe(before);
  });

  test('held: the list stands still, tells how many came, and goes on', async () => {
    await stage.system.publisher.store(numbered('hold.a', 1));
    const page = await stage.openPage('topics?topics=hold.a');
    await page.locator('.badge', { hasText: 'live' }).waitFor();
    await until(async () => (await events(page).count()) === 1);
    await page.getByRole('button', { name: 'Hold' }).click();
    await stage.system.publisher.storeAll([2, 3].map((n) => numbered('hold.a', n)));
    const goOn = page.getByRole('button', { name: 'Go on (2 new)' });
    await goOn.waitFor();
    expect(await events(page).count()).toBe(1);
    await goOn.click();
    await until(async () => (await events(page).count()) === 3);
  });

  test('rubbish in the address and the fields: is told, and breaks nothing', async () => {
    const page = await stage.openPage('topics?topics=a..b&tree=x%20y&from=never');
    await page.getByText('invalid_', { exact: false }).first().waitFor();
    await page.getByLabel('Pattern of the tree').fill('orders.>.x');
    await page.getByText('A pattern has tokens').waitFor();
    expect(await page.getByRole('button', { name: 'Filter' }).isDisabled()).toBe(true);
    await stage.opened.go('topics?topics=nothing.here');
    await page.getByText('No events').waitFor();
  });

  test(`${MANY} topics: are shown, opened and scrolled without a frozen page`, async () => {
    const many = Array.from({ length: MANY }, (_, n) => ({
      ...numbered(`zoo.cage-${n}`, 1),
      data: n,
    }));
    await appendDirectly(stage.system.nats.url, many);
    const page = await stage.openPage('topics?tree=zoo.>');
    const total = page.getByText('10,000 topics, 10,000 events');
    await total.waitFor();
    await page.evaluate(watchTasks);
    await place(page, 'zoo').click();
    await page.getByRole('tree').focus();
    await page.keyboard.press('End');
    await place(page, 'cage-9999').waitFor();
    expect(await page.getByRole('treeitem').count()).toBeLessThan(200);
    // A page that draws all of them stands for seconds.
    expect(await page.evaluate('globalThis.longestMs')).toBeLessThan(1000);
  });
});

/** Keeps the longest task from now on, in ms. */
function watchTasks(): void {
  const world = globalThis as unknown as { longestMs: number };
  world.longestMs = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries())
      world.longestMs = Math.max(world.longestMs, duration);
  }).observe({ entryTypes: ['longtask' as never] });
}
