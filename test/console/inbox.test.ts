import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { makeToken } from '../support/services.ts';
import { numbered } from '../support/system.ts';
import { until } from '../support/until.ts';
import { startEventSystem } from './event-system.ts';
import { CHROMIUM, setStage } from './stage.ts';

/* The page of inboxes: the own one, and that of another user for an operator. */

describe.skipIf(CHROMIUM === undefined)('console: inbox (needs Chromium)', () => {
  const stage = setStage(startEventSystem);

  const tokenOf = (user: string) =>
    makeToken(`inbox:> subscribe:user.${user}.> subscribe:orders.> history:user.${user}.>`, user);
  const items = (page: Page) => page.locator('.inbox-item');
  const note = (user: string, n: number) =>
    stage.system.publisher.store({ ...numbered(`note.${n}`, n), topic: `user.${user}.news` });

  test('own: a new item comes live; marks change the counts, and outlive a reload', async () => {
    await note('ada', 1);
    const page = await stage.openPage('inbox', await tokenOf('ada'));
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
    expect(await stage.opened.barriers()).toEqual([]);
  });

  test('own: a follow brings the events of others in, and what is refused is told', async () => {
    const page = await stage.openPage('inbox', await tokenOf('bea'));
    await page.getByText('No items').waitFor();
    await page.getByLabel('Pattern', { exact: true }).fill('secret.>');
    await page.getByText('The token may not subscribe to it.').waitFor();
    await page.getByLabel('Pattern', { exact: true }).fill('orders.*');
    await page.getByRole('button', { name: 'Follow', exact: true }).click();
    await page.getByRole('button', { name: 'Unfollow orders.*' }).waitFor();
    await stage.system.publisher.store(numbered('orders.9', 1));
    await until(async () => (await items(page).count()) === 1);
    await page.getByRole('button', { name: 'Unfollow orders.*' }).click();
    await page.getByText('follows nothing').waitFor();
  });

  test('of another: is shown to an operator to look at, and can be changed by nobody', async () => {
    for (let n = 1; n <= 35; n++) await note('cyd', n);
    const page = await stage.openPage('inbox', await makeToken('admin', 'operator'));
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
    expect(await stage.opened.barriers()).toEqual([]);
  });

  test('own without the permission for the own topics: says what the service says', async () => {
    const page = await stage.openPage('inbox', await makeToken('inbox:>', 'dan'));
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').textContent()).toContain('forbidden');
  });
});
