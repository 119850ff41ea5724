import type { Page } from 'playwright-core';
import { beforeAll, describe, test } from 'vitest';
import { numbered } from '../support/system.ts';
import { until } from '../support/until.ts';
import { operatorToken } from './console.ts';
import { startEventSystem } from './event-system.ts';
import { expectFit, LOOKS } from './looks.ts';
import { CHROMIUM, setStage } from './stage.ts';

/* Whether everybody can read and use the pages of events, with events in them. */

describe.skipIf(CHROMIUM === undefined)('console: looks of events (needs Chromium)', () => {
  const stage = setStage(startEventSystem);
  let token = '';
  let cursor = '';

  beforeAll(async () => {
    token = await operatorToken();
    const data = { long: 'x'.repeat(3000), items: [1, true, null, 'text'] };
    const events = Array.from({ length: 60 }, (_, n) => ({
      ...numbered(`looks.topic-${n}`, n),
      data,
    }));
    await stage.system.publisher.storeAll(events);
    const [item] = await stage.system.publisher.storeAll([numbered('user.operator.news', 1)]);
    cursor = item?.cursor ?? '';
  });

  /** Each page, and what is there once it shows what it is to show. */
  const pages: readonly [string, (page: Page) => Promise<unknown>][] = [
    ['topics?topics=looks.>', (page) => page.getByText('60 events loaded').waitFor()],
    ['topics?topics=looks.>&type=x', (page) => page.getByText('No events').waitFor()],
    ['event', (page) => page.getByText('No event is chosen.').waitFor()],
    ['event/CURSOR', (page) => page.getByText('This event has no trace.').waitFor()],
    ['event/rubbish', (page) => page.getByRole('alert').first().waitFor()],
    ['try-it', publishAndCut],
    ['inbox', (page) => page.locator('.inbox-item').first().waitFor()],
    ['inbox?sub=somebody', (page) => page.getByText('You can only look').waitFor()],
  ];

  test.each(LOOKS)(
    'the pages of events: $scheme, $size: keep nobody out, and fit',
    async (look) => {
      const opened = await stage.open(token, look);
      const { page } = opened;
      await page.getByRole('navigation', { name: 'Pages' }).waitFor();
      for (const [name, isThere] of pages) {
        await opened.go(name.replace('CURSOR', cursor));
        await isThere(page);
        await expectFit(opened, name);
      }
    },
  );
});

async function publishAndCut(page: Page): Promise<void> {
  await page.locator('.panel-head .badge', { hasText: /^live$/ }).waitFor();
  await page.getByRole('button', { name: 'Publish one event' }).click();
  await page.getByText('1 live, 0 caught up').waitFor();
  await page.getByRole('switch', { name: 'Connection' }).click();
  await page.getByRole('button', { name: 'Publish 10' }).click();
  const boxes = page.locator('.try-events .try-box.not-received');
  await until(async () => (await boxes.count()) === 10);
}
