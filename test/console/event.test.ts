import { afterAll, describe, expect, test } from 'vitest';
import { JAEGER_BINARY, type Jaeger, startJaeger } from '../support/jaeger.ts';
import { makeToken } from '../support/services.ts';
import { appendDirectly, numbered } from '../support/system.ts';
import { until } from '../support/until.ts';
import { startEventSystem } from './event-system.ts';
import { CHROMIUM, setStage } from './stage.ts';

/* The page of one event. Its trace comes from a real Jaeger, where there is one. */

const TRACE = 'c'.repeat(32);

describe.skipIf(CHROMIUM === undefined)('console: one event (needs Chromium)', () => {
  let jaeger: Jaeger | undefined;
  // Hooks after the tests run from the last to the first: the services have sent their spans by then.
  afterAll(() => jaeger?.stop());
  const stage = setStage(async () => {
    jaeger = JAEGER_BINARY === undefined ? undefined : await startJaeger(JAEGER_BINARY);
    const env = jaeger && {
      OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.otlpUrl,
      OTEL_BSP_SCHEDULE_DELAY: '100',
      TIDEMARK_GATEWAY_JAEGER_URL: jaeger.queryUrl,
    };
    return startEventSystem({ ...(env && { env }) });
  });

  test('an event: shows its attributes, its data and all of it', async () => {
    const { cursor } = await stage.system.publisher.store({
      ...numbered('one.a', 1),
      ...{ subject: 'order 7', partner: 'acme', data: { total: 7.5, note: null } },
    });
    const page = await stage.openPage(`event/${cursor}`);
    for (const text of ['one.a', '/tests/one.a', 'tester', 'order 7', 'acme', cursor])
      await page.getByText(text, { exact: true }).first().waitFor();
    const json = page.locator('pre.json');
    expect(JSON.parse((await json.textContent()) ?? '')).toEqual({ total: 7.5, note: null });
    await page.getByRole('button', { name: 'Whole event' }).click();
    expect(JSON.parse((await json.textContent()) ?? '')).toMatchObject({
      id: '1',
      partner: 'acme',
    });
  });

  test('copied: is the event as JSON', async () => {
    const { cursor } = await stage.system.publisher.store(numbered('copy.a', 1));
    const page = await stage.openPage(`event?cursor=${cursor}`);
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.getByRole('button', { name: 'Copy the event' }).click();
    await page.getByText('Copied').waitFor();
    const copied = (await page.evaluate('navigator.clipboard.readText()')) as string;
    expect(JSON.parse(copied)).toMatchObject({ id: '1', topic: 'copy.a', publisher: 'tester' });
  });

  test('where the browser gives less, as at an http: address: publishes, and says that it does not copy', async () => {
    const page = await stage.openPage('event');
    await page.evaluate(takeAway);
    await stage.opened.go('topics?topics=plain.a');
    await page.getByLabel('Type', { exact: true }).fill('plain.sent');
    await page.getByRole('button', { name: 'Publish', exact: true }).click();
    await page.getByText('Stored at').getByRole('link').click();
    await page.getByRole('button', { name: 'Copy the event' }).click();
    await page.getByText('The browser refuses').waitFor();
    await page.getByRole('button', { name: 'Copy the cursor' }).click();
    await page.getByText('the browser refuses', { exact: true }).waitFor();
  });

  test('its neighbours: are those of the topic, by button and by key', async () => {
    const stored = await stage.system.publisher.storeAll([1, 2].map((n) => numbered('near.a', n)));
    await stage.system.publisher.store(numbered('near.b', 1));
    const third = await stage.system.publisher.store(numbered('near.a', 3));
    const page = await stage.openPage(`event/${stored[1]?.cursor}`);
    const shown = (n: number) =>
      page
        .locator('pre.json')
        .filter({ hasText: `"n": ${n},` })
        .waitFor();
    await shown(2);
    await page.getByRole('link', { name: 'Next →' }).click();
    await shown(3);
    expect(page.url()).toContain(third.cursor);
    await page.getByText('newest of its topic').waitFor();
    await page.getByRole('link', { name: '← Previous' }).waitFor();
    await page.keyboard.press('[');
    await shown(2);
    await page.getByRole('link', { name: '← Previous' }).waitFor();
    await page.keyboard.press('[');
    await shown(1);
    await page.getByText('first of its topic').waitFor();
  });

  test('without a trace: says why', async () => {
    await appendDirectly(stage.system.nats.url, [numbered('untraced.a', 1)]);
    const page = await stage.openPage('topics?topics=untraced.a');
    await page.getByRole('list', { name: 'Events, newest first' }).getByRole('link').click();
    await page.getByText('This event has no trace.').waitFor();
    await page.getByText('none: it was published at NATS').waitFor();
    const traceparent = `00-${TRACE}-${'d'.repeat(16)}-00`;
    const unsampled = await stage.system.publisher.store({
      ...numbered('untraced.a', 2),
      traceparent,
    });
    await stage.opened.go(`event/${unsampled.cursor}`);
    await page.getByText('This trace was not sampled.').waitFor();
  });

  test.skipIf(JAEGER_BINARY === undefined)(
    'its way: is a bar for each step, from ingest to the clients and the archive (needs Jaeger)',
    async () => {
      const listener = stage.system.listen('websocket', { topics: 'way.a' });
      await until(() => listener.received.some(({ type }) => type === 'live'));
      const page = await stage.openPage('topics?topics=nothing.else');
      await page.getByLabel('Topic', { exact: true }).fill('way.a');
      await page.getByLabel('Type', { exact: true }).fill('way.taken');
      await page.getByRole('button', { name: 'Publish', exact: true }).click();
      await page.getByText('Stored at').getByRole('link').click();
      const way = page.getByRole('table');
      for (const step of [
        ...['Taken in', 'Stored in the stream', 'Written to the archive', 'Written to clients'],
      ]) {
        await way.getByRole('rowheader', { name: step }).waitFor();
      }
      await way.getByText('1 connection').waitFor();
      expect(await page.locator('.way-bar').count()).toBe(await way.getByRole('rowheader').count());
      expect(await stage.opened.barriers()).toEqual([]);
    },
  );

  test.skipIf(JAEGER_BINARY === undefined)(
    'its way without admin: says that it needs that (needs Jaeger)',
    async () => {
      const traceparent = `00-${TRACE}-${'d'.repeat(16)}-01`;
      const { cursor } = await stage.system.publisher.store({
        ...numbered('way.b', 1),
        traceparent,
      });
      const page = await stage.openPage(`event/${cursor}`, await makeToken('history:way.>', 'mia'));
      await page.getByText('This token may not read traces.').waitFor();
    },
  );

  test('a cursor without an event, and rubbish: are told, and another one can be tried', async () => {
    const { cursor } = await stage.system.publisher.store(numbered('found.a', 1));
    const page = await stage.openPage(`event/${cursor.replace(/\d+$/, '99999')}`);
    await page.getByText('not_found').waitFor();
    await stage.opened.go('event/%');
    await page.getByText('invalid_cursor').waitFor();
    await page.getByLabel('Cursor').fill('rubbish');
    await page.getByText('A cursor is the name of a log').waitFor();
    await page.getByLabel('Cursor').fill(cursor);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'found.a' }).waitFor();
  });
});

/** Takes away what browsers give to secure pages only. */
function takeAway(): void {
  const { crypto, navigator } = globalThis;
  Object.defineProperty(crypto, 'randomUUID', { value: undefined });
  Object.defineProperty(navigator, 'clipboard', { value: undefined });
}
