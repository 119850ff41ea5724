import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { findChromium, startBrowser } from '../browser/pages.ts';
import { makeToken } from '../support/services.ts';
import { numbered, type System } from '../support/system.ts';
import { until } from '../support/until.ts';
import { type Console, openConsole } from './console.ts';
import { startEventSystem } from './event-system.ts';

/* The page of inboxes: the own one, and that of another user for an operator. */

const executable = findChromium();

describe.skipIf(executable === undefined)('console: inbox (needs Chromium)', () => {
  let browser: Browser;
  let system: System;
  let opened: Console | undefined;

  beforeAll(async () => {
    [browser, system] = await Promise.all([startBrowser(executable ?? ''), startEventSystem()]);
  });

  afterEach(async () => {
    expect(opened?.complaints).toEqual([]);
    await opened?.close();
    opened = undefined;
  });

  afterAll(async () => {
    await browser?.close();
    await system?.stop();
  });

  async function open(token: string, page = 'inbox'): Promise<Page> {
    opened = await openConsole(browser, system, token);
    await opened.page.getByRole('navigation', { name: 'Pages' }).waitFor();
    await opened.go(page);
    return opened.page;
  }

  const tokenOf = (user: string) =>
    makeToken(`inbox:> subscribe:user.${user}.> subscribe:orders.> history:user.${user}.>`, user);
  const items = (page: Page) => page.locator('.inbox-item');
  const note = (user: string, n: number) =>
    system.publisher.store({ ...numbered(`note.${n}`, n), topic: `user.${user}.news` });

  test('own: a new item comes live; marks change the counts, and outlive a reload', async () => {
    await note('ada', 1);
    const page = await open(await tokenOf('ada'));
    await until(async () => (await items(page).count()) === 1);
    await note('ada', 2);
    await until(async () => (await items(page).count()) === 2);
    await page.getByText('2 unread').waitFor();
    await page.getByRole('button', { name: /^Read: note\.2/ }).click();
    await page.getByText('1 unread').waitFor();
    await page.getByRole('button', { name: /^Archive: note\.1/ }).click();
    await until(async () => (await items(page).count()) === 1);
    await page.getByText('0 unread').waitFor();
    await page.reload();
    await until(async () => (await items(page).count()) === 1);
    expect(await items(page).first().textContent()).toContain('note.2');
    await page.getByRole('combobox', { name: 'Items' }).selectOption('archived');
    await until(async () => (await items(page).textContent())?.includes('note.1') ?? false);
    expect(await opened?.barriers()).toEqual([]);
  });

  test('own: a follow brings the events of others in, and what is refused is told', async () => {
    const page = await open(await tokenOf('bea'));
    await page.getByText('No items').waitFor();
    await page.getByLabel('Pattern', { exact: true }).fill('secret.>');
    await page.getByText('The token may not subscribe to it.').waitFor();
    await page.getByLabel('Pattern', { exact: true }).fill('orders.*');
    await page.getByRole('button', { name: 'Follow', exact: true }).click();
    await page.getByRole('button', { name: 'Unfollow orders.*' }).waitFor();
    await system.publisher.store(numbered('orders.9', 1));
    await until(async () => (await items(page).count()) === 1);
    await page.getByRole('button', { name: 'Unfollow orders.*' }).click();
    await page.getByText('follows nothing').waitFor();
  });

  test('of another: is shown to an operator to look at, and can be changed by nobody', async () => {
    for (let n = 1; n <= 35; n++) await note('cyd', n);
    const page = await open(await makeToken('admin', 'operator'), 'inbox');
    await page.getByLabel('User').fill('cyd');
    await page.getByRole('button', { name: 'Show', exact: true }).click();
    await page.getByText('You can only look').waitFor();
    await until(async () => (await items(page).count()) === 30);
    await page.getByText('35 unread').waitFor();
    expect(
      await page
        .getByRole('button', { name: /^(Read|Archive|Hide)/ })
        .filter({ hasNotText: 'again' })
        .count(),
    ).toBe(0);
    await page.getByRole('button', { name: 'Load older items' }).click();
    await until(async () => (await items(page).count()) === 35);
    await note('cyd', 36);
    await page.getByRole('button', { name: 'Read again' }).click();
    await page.getByText('36 unread').waitFor();
    await page.getByText('user.cyd.>', { exact: true }).waitFor();
    expect(await opened?.barriers()).toEqual([]);
  });

  test('own without the permission for the own topics: says what the service says', async () => {
    const page = await open(await makeToken('inbox:>', 'dan'));
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').textContent()).toContain('forbidden');
  });
});
