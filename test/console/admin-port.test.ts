import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findChromium, startBrowser } from '../browser/pages.ts';
import { numbered, type System } from '../support/system.ts';
import { openConsole, operatorToken } from './console.ts';
import { startEventSystemWithAdminPort } from './event-system.ts';

/* The pages of events where the console is at an admin port, and events at the gateway's other port. */

const executable = findChromium();

describe.skipIf(executable === undefined)('console: admin port (needs Chromium)', () => {
  let browser: Browser;
  let started: Awaited<ReturnType<typeof startEventSystemWithAdminPort>>;
  let system: System;

  beforeAll(async () => {
    [browser, started] = await Promise.all([
      startBrowser(executable ?? ''),
      startEventSystemWithAdminPort(),
    ]);
    system = started.system;
  });

  afterAll(async () => {
    await browser?.close();
    await system?.stop();
  });

  test('events: are read, come live, are published and caught up, within the policy of the page', async () => {
    await system.publisher.store(numbered('port.a', 1));
    const { page, complaints, go, close } = await openConsole(
      browser,
      started.page,
      await operatorToken(),
    );
    await page.getByRole('navigation', { name: 'Pages' }).waitFor();
    await go('topics?topics=port.a');
    await page.getByText('1 event loaded').waitFor();
    await page.locator('.badge', { hasText: 'live' }).waitFor();
    await page.getByLabel('Type', { exact: true }).fill('port.sent');
    await page.getByRole('button', { name: 'Publish', exact: true }).click();
    await page.getByText('2 events loaded').waitFor();
    await go('try-it');
    await page.locator('.panel-head .badge', { hasText: /^live$/ }).waitFor();
    await page.getByRole('switch', { name: 'Connection' }).click();
    await page.getByRole('button', { name: 'Publish 10' }).click();
    await page.getByText('10 of this topic ahead').waitFor();
    await page.getByRole('switch', { name: 'Connection' }).click();
    await page.getByText('0 live, 10 caught up').waitFor();
    expect(complaints).toEqual([]);
    await close();
  });
});
