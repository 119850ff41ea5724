import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeToken } from '../support/services.ts';
import { ids, type System, series, startSystem, untilHead } from '../support/system.ts';
import { until } from '../support/until.ts';
import { findChromium, type Site, startBrowser, startSite } from './pages.ts';
import { bundleReact, loadServer, REACT_VERSIONS, type ReactVersion } from './react/bundle.ts';
import type { Kept, Program, Settings, What } from './react/kept.ts';

/* The hooks and the bell in a real browser, always in Strict Mode. */

const executable = findChromium();

const AXE = readFileSync(
  fileURLToPath(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url)),
  'utf8',
);

type WithProgram = { program: Program };

/** What Axe says of the page's root. */
interface AxeResults {
  readonly violations: readonly { id: string; nodes: readonly { html: string }[] }[];
  readonly passes: readonly unknown[];
}

describe.skipIf(executable === undefined)('react (needs Chromium)', () => {
  let browser: Browser;
  let site: Site;
  let system: System;
  let token = '';

  beforeAll(async () => {
    site = await startSite();
    [browser, system, token] = await Promise.all([
      startBrowser(executable ?? ''),
      startSystem({ env: { TIDEMARK_ALLOWED_ORIGINS: site.origin } }),
      makeToken('subscribe:react.>', 'alice'),
    ]);
  });
  afterAll(async () => {
    await browser?.close();
    await Promise.all([system?.stop(), site?.stop()]);
  });

  describe.each(REACT_VERSIONS)('React %s', (version: ReactVersion) => {
    let context: BrowserContext;
    let page: Page;
    let code = '';
    /** What the page says to the gateway over its socket, and how many sockets are open. */
    let sent: string[] = [];
    let sockets = 0;

    beforeAll(async () => {
      code = await bundleReact(version, 'page.tsx');
    });
    beforeEach(async () => {
      context = await browser.newContext();
      page = await context.newPage();
      sent = [];
      sockets = 0;
      page.on('websocket', (socket) => {
        sockets++;
        socket.on('close', () => sockets--);
        socket.on('framesent', ({ payload }) => {
          const { type, topics } = JSON.parse(String(payload)) as { type: string; topics?: [] };
          if (type.endsWith('subscribe')) sent.push([type, ...(topics ?? [])].join(' '));
        });
      });
      await page.goto(site.origin);
      await page.addScriptTag({ content: code, type: 'module' });
      await page.waitForFunction('globalThis.program');
    });
    afterEach(async () => {
      const { complaints } = await kept();
      await context.close();
      expect(complaints).toEqual([]);
    });

    const store = (topic: string, first: number, last: number) =>
      system.publisher.storeAll(series(topic, first, last));
    const settings = (topics: readonly string[], more: Partial<Settings> = {}): Settings => ({
      url: system.gateway.url,
      token,
      topics,
      ...more,
    });
    const show = (what: What, more: Settings = settings([], { url: '' })) =>
      page.evaluate(
        ([what, more]) => (globalThis as unknown as WithProgram).program.show(what, more),
        [what, more] as const,
      );
    const unmount = () =>
      page.evaluate(() => (globalThis as unknown as WithProgram).program.unmount());
    const kept = (): Promise<Kept> =>
      page.evaluate(() => (globalThis as unknown as WithProgram).program.kept);
    const topic = (...names: string[]) => ['react', version, ...names].join('.');

    async function untilKept(isThere: (kept: Kept) => boolean): Promise<Kept> {
      await until(async () => isThere(await kept()));
      return kept();
    }

    test('it is that version', async () => {
      const found = await page.evaluate(
        () => (globalThis as unknown as WithProgram).program.version,
      );
      expect(found.split('.')[0]).toBe(version);
    });

    describe('useEvents', () => {
      test('5,000 missed events: come once each, in order, and are rendered by the frame', async () => {
        await store(topic('missed'), 1, 5000);
        await show('feed', settings([topic('missed')], { after: 'earliest', limit: 100 }));
        const { heard, shown, commits, frames, gaps, error } = await untilKept(
          ({ isLive, shown }) => isLive && shown.at(-1) === '5000',
        );
        expect(heard).toEqual(ids(1, 5000));
        expect(shown).toEqual(ids(4901, 5000));
        expect(await page.locator('li').allTextContents()).toEqual(ids(4901, 5000));
        expect({ gaps, error }).toEqual({ gaps: 0, error: undefined });
        expect(commits).toBeLessThanOrEqual(frames + 5);
        expect(commits).toBeLessThan(1000);
        expect(sent).toEqual([`subscribe ${topic('missed')}`]);
      });

      test('another render with new arrays: does not subscribe again; other topics do', async () => {
        const one = settings([topic('one')], { after: 'earliest' });
        await store(topic('one'), 1, 3);
        await store(topic('other'), 4, 5);
        await show('feed', one);
        await untilKept(({ shown }) => shown.length === 3);
        for (let n = 0; n < 5; n++) await show('feed', { ...one, topics: [...one.topics] });
        await store(topic('one'), 6, 6);
        expect((await untilKept(({ shown }) => shown.length === 4)).shown).toEqual([
          ...ids(1, 3),
          '6',
        ]);
        expect(sent).toEqual([`subscribe ${topic('one')}`]);
        await show('feed', settings([topic('other')], { after: 'earliest' }));
        await untilKept(({ shown }) => shown.at(-1) === '5');
        expect((await kept()).shown).toEqual(ids(4, 5));
        await until(() => sent.length >= 3);
        expect(sent.sort()).toEqual([
          `subscribe ${topic('one')}`,
          `subscribe ${topic('other')}`,
          'unsubscribe',
        ]);
      });

      test('gateway that is killed: gives what was missed, and the status says so', async () => {
        await show('feed', settings([topic('killed')]));
        await untilKept(({ states }) => states.at(-1) === 'live');
        await store(topic('killed'), 1, 3);
        await untilKept(({ shown }) => shown.length === 3);
        await system.gateway.kill('SIGKILL');
        await store(topic('killed'), 4, 20);
        await untilKept(({ states }) => states.at(-1) === 'offline');
        await system.gateway.restart();
        await untilKept(({ states, shown }) => states.at(-1) === 'live' && shown.length === 20);
        const { heard, shown, states } = await kept();
        expect(heard).toEqual(ids(1, 20));
        expect(shown).toEqual(ids(1, 20));
        expect(states).toEqual(expect.arrayContaining(['connecting', 'live', 'offline']));
      });

      test('topics that are forbidden: show the error', async () => {
        await show('feed', settings(['secret']));
        const { error, isLive } = await untilKept(({ error }) => error !== undefined);
        expect(error).toMatch(/secret/);
        expect(isLive).toBe(false);
      });

      test('onEvent that throws: ends the list before this event', async () => {
        await store(topic('throws'), 1, 10);
        const more = { after: 'earliest', failAt: '5' };
        await show('feed', settings([topic('throws')], more));
        const { heard, shown, error } = await untilKept(({ error }) => error !== undefined);
        expect({ heard, shown, error }).toEqual({
          heard: ids(1, 4),
          shown: ids(1, 4),
          error: 'no 5',
        });
      });

      test('client that was stopped: gives everything once it is authenticated', async () => {
        await store(topic('stopped'), 1, 3);
        const more = { after: 'earliest', token: 'none' };
        await show('feed', settings([topic('stopped')], more));
        await untilKept(({ error, states }) => error !== undefined && states.at(-1) === 'stopped');
        await show('feed', settings([topic('stopped')], { ...more, token }));
        await page.evaluate(() => (globalThis as unknown as WithProgram).program.authenticate());
        await untilKept(({ shown }) => shown.length === 3);
        await store(topic('stopped'), 4, 4);
        const { heard, error } = await untilKept(({ shown }) => shown.length === 4);
        expect({ heard, error }).toEqual({ heard: ids(1, 4), error: undefined });
      });

      if (version !== '18') {
        test('part of the page that is hidden: goes on where it was when it is shown again', async () => {
          await show('feed', settings([topic('hidden')]));
          await untilKept(({ isLive }) => isLive);
          await store(topic('hidden'), 1, 3);
          await untilKept(({ shown }) => shown.length === 3);
          await show('hidden', settings([topic('hidden')]));
          await until(() => sent.at(-1) === 'unsubscribe');
          await store(topic('hidden'), 4, 6);
          await show('feed', settings([topic('hidden')]));
          await untilKept(({ shown }) => shown.length === 6);
          const { heard, shown } = await kept();
          expect({ heard, shown }).toEqual({ heard: ids(1, 6), shown: ids(1, 6) });
        });
      }

      test('provider that is unmounted: closes the client that it made', async () => {
        await show('feed', settings([topic('gone')]));
        await untilKept(({ isLive }) => isLive);
        const isClosed = () =>
          page.evaluate(() => (globalThis as unknown as WithProgram).program.isClosed());
        expect({ sockets, isClosed: await isClosed() }).toEqual({ sockets: 1, isClosed: false });
        await unmount();
        await until(() => sockets === 0);
        expect(await isClosed()).toBe(true);
        await show('feed', settings([topic('gone')]));
        await until(() => sockets === 1);
      });
    });

    test('useSnapshot: has the newest event of each topic, in a new map for each change', async () => {
      await store(topic('map', 'a'), 1, 3);
      await store(topic('map', 'b'), 4, 5);
      await untilHead(system);
      await show('map', settings([topic('map', '*')]));
      const first = await untilKept(({ isLive }) => isLive);
      expect(first.shown).toEqual([`${topic('map', 'a')} 3`, `${topic('map', 'b')} 5`]);
      await store(topic('map', 'b'), 6, 6);
      await store(topic('map', 'c'), 7, 7);
      const gone = { id: '8', source: '/gone', type: topic('map', 'a'), data: { gone: true } };
      await system.publisher.store(gone);
      const { shown, commits } = await untilKept(
        ({ shown }) => shown.join() === `${topic('map', 'b')} 6,${topic('map', 'c')} 7`,
      );
      expect(shown).toEqual([`${topic('map', 'b')} 6`, `${topic('map', 'c')} 7`]);
      expect(commits).toBeGreaterThan(1);
      expect(await page.locator('p').textContent()).toBe('2');
      expect(sent).toEqual([`subscribe ${topic('map', '*')}`]);
    });

    describe('bell', () => {
      const bell = () => page.locator('[data-part="button"]');
      const dialog = () => page.getByRole('dialog', { name: 'Notifications' });
      const announcement = () => page.locator('[data-part="announcement"]');
      const focused = () =>
        page.evaluate(() => {
          const { document } = globalThis as unknown as {
            document: {
              activeElement: { textContent: string; getAttribute(name: string): string };
            };
          };
          const { activeElement } = document;
          return activeElement.getAttribute('data-part') ?? activeElement.textContent;
        });
      const program = <Name extends 'arrive' | 'take' | 'refuse' | 'setState'>(
        name: Name,
        value: Parameters<Program[Name]>[0],
      ) =>
        page.evaluate(
          ([name, value]) =>
            ((globalThis as unknown as WithProgram).program[name] as (value: unknown) => void)(
              value,
            ),
          [name, value] as const,
        );

      async function violations(): Promise<string[]> {
        await page.evaluate(AXE);
        const { violations, passes } = (await page.evaluate('axe.run("#root")')) as AxeResults;
        // It has looked at something.
        expect(passes.length).toBeGreaterThan(3);
        return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html)}`);
      }

      async function untilReady(): Promise<void> {
        await expect.poll(() => bell().getAttribute('aria-label')).toBe('Notifications, 2 unread');
      }

      beforeEach(async () => {
        await show('bell');
      });

      test('button: says the count, and opens and closes the dialog, which takes the focus and gives it back', async () => {
        await untilReady();
        expect(await bell().getAttribute('aria-expanded')).toBe('false');
        expect(await bell().getAttribute('class')).toBe('round');
        expect(await violations()).toEqual([]);
        await bell().focus();
        await page.keyboard.press('Enter');
        await dialog().waitFor();
        expect(await bell().getAttribute('aria-expanded')).toBe('true');
        expect(await bell().getAttribute('aria-controls')).toBe(await dialog().getAttribute('id'));
        expect(await focused()).toMatch(/^Unread: Note 8/);
        expect(await violations()).toEqual([]);
        await page.keyboard.press('Escape');
        await dialog().waitFor({ state: 'detached' });
        expect(await focused()).toBe('button');
        await bell().click();
        await dialog().waitFor();
        await page.mouse.click(600, 500);
        await dialog().waitFor({ state: 'detached' });
      });

      test('opening: marks what is listed as seen, once; choosing an item marks it as read', async () => {
        await untilReady();
        expect((await kept()).calls).toEqual([]);
        await bell().click();
        await until(async () => (await kept()).calls.length > 0);
        await page.getByRole('button', { name: /Note 7/ }).click();
        await expect.poll(() => bell().getAttribute('aria-label')).toBe('Notifications, 1 unread');
        const [first] = await page.locator('[data-part="item"]').all();
        expect(await first?.getAttribute('data-read')).toBe('false');
        await page.getByRole('button', { name: 'Mark all as read' }).click();
        await expect.poll(() => bell().getAttribute('aria-label')).toBe('Notifications');
        expect((await kept()).calls).toEqual([
          'seen {"upTo":"e-8"}',
          'read {"cursors":["e-7"]}',
          'select e-7',
          'read undefined',
        ]);
        // The button that had the focus is gone.
        await expect.poll(focused).toBe('dialog');
      });

      test('keys: go through the items, with one of them in the tab order', async () => {
        await untilReady();
        await bell().click();
        await dialog().waitFor();
        const path: string[] = [];
        for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowUp', 'Home', 'End']) {
          await page.keyboard.press(key);
          path.push(/Note \d/.exec(await focused())?.[0] ?? '');
        }
        expect(path).toEqual(['Note 7', 'Note 6', 'Note 6', 'Note 7', 'Note 8', 'Note 6']);
        await page.keyboard.press('Tab');
        expect(await focused()).toBe('older');
        await page.keyboard.press('Shift+Tab');
        expect(await focused()).toMatch(/^Note 6/);
        await page.keyboard.press('Enter');
        expect((await kept()).calls.at(-1)).toBe('select e-6');
      });

      test('older items: come by the button, and the first of them gets the focus', async () => {
        await untilReady();
        await bell().click();
        const older = page.getByRole('button', { name: 'Load older' });
        await older.click();
        await expect.poll(focused).toMatch(/^Note 5/);
        await older.click();
        await expect.poll(focused).toMatch(/^Note 2/);
        expect(await older.count()).toBe(0);
        const items = await page.locator('[data-part="item"]').allTextContents();
        expect(items.map((text) => /Note \d/.exec(text)?.[0])).toEqual(
          [8, 7, 6, 5, 4, 3, 2, 1].map((n) => `Note ${n}`),
        );
      });

      test('item that goes while it has the focus: leaves the focus in the dialog', async () => {
        await untilReady();
        await bell().click();
        await page.keyboard.press('ArrowDown');
        await program('take', 'e-7');
        await expect.poll(focused).toBe('dialog');
        await page.keyboard.press('ArrowDown');
        expect(await focused()).toMatch(/Note 8/);
      });

      test('new items: are said once, together, and those of the first page are not', async () => {
        await untilReady();
        await page.waitForTimeout(1500);
        expect(await announcement().textContent()).toBe('');
        await program('arrive', 2);
        await program('arrive', 1);
        await expect
          .poll(() => announcement().textContent(), { timeout: 3000 })
          .toBe('3 new notifications');
        expect(await announcement().getAttribute('role')).toBe('status');
        await expect.poll(() => bell().getAttribute('aria-label')).toBe('Notifications, 5 unread');
        await bell().click();
        await page.getByRole('button', { name: 'Load older' }).click();
        await program('arrive', 1);
        await expect
          .poll(() => announcement().textContent(), { timeout: 3000 })
          .toBe('1 new notification');
        await until(async () => (await kept()).calls.length === 3);
        // What comes while the list is open counts as seen too.
        expect((await kept()).calls).toEqual([
          'seen {"upTo":"e-11"}',
          'older',
          'seen {"upTo":"e-12"}',
        ]);
      });

      test('new items of a catch-up: are said when it is over', async () => {
        await untilReady();
        await program('setState', 'catching-up');
        await page.waitForTimeout(100);
        await program('arrive', 50);
        await page.waitForTimeout(1500);
        await program('arrive', 30);
        expect(await announcement().textContent()).toBe('');
        await program('setState', 'live');
        await expect
          .poll(() => announcement().textContent(), { timeout: 3000 })
          .toBe('80 new notifications');
      });

      test('mark as seen that is refused: is not tried again before a new item', async () => {
        await untilReady();
        await program('refuse', undefined as never);
        await bell().click();
        await page.waitForTimeout(1000);
        expect((await kept()).calls).toEqual(['seen {"upTo":"e-8"}']);
        await program('arrive', 1);
        await until(async () => (await kept()).calls.length === 2);
        expect((await kept()).calls.at(-1)).toBe('seen {"upTo":"e-9"}');
      });

      test('action that is refused: is said', async () => {
        await untilReady();
        await bell().click();
        await until(async () => (await kept()).calls.length === 1);
        await program('refuse', undefined as never);
        await page.getByRole('button', { name: /Note 7/ }).click();
        await page.getByRole('alert').waitFor();
        expect(await page.getByRole('alert').textContent()).toMatch(/did not succeed/);
        expect(await violations()).toEqual([]);
        await page.getByRole('button', { name: /Note 7/ }).click();
        await page.getByRole('alert').waitFor({ state: 'detached' });
      });

      test('two users of one inbox: share it, and it is closed when the last one is gone', async () => {
        await show('bells');
        await untilReady();
        await expect.poll(() => page.locator('#unread').textContent()).toBe('2');
        await show('bell');
        await page.waitForTimeout(100);
        expect(await kept()).toMatchObject({ opened: 1, closed: 0 });
        await show('nothing');
        await untilKept(({ closed }) => closed === 1);
        await show('bell');
        await untilKept(({ opened }) => opened === 2);
        await untilReady();
      });
    });

    test('page of a server: is taken over as it is', async () => {
      const program = await loadServer(version);
      // The client is live already, as one is that is made outside of React.
      const more = settings([], { url: '' });
      const html = program.render({ what: 'bells', settings: more, kept: {}, openInbox: () => {} });
      await page.evaluate(
        ([html, more]) => {
          const { document, program } = globalThis as unknown as WithProgram & {
            document: { body: { innerHTML: string } };
          };
          document.body.innerHTML = `<main id="root">${html}</main>`;
          program.hydrate(more);
        },
        [html, more] as const,
      );
      const label = () => page.locator('[data-part="button"]').getAttribute('aria-label');
      await expect.poll(label).toBe('Notifications, 2 unread');
      expect(html).toContain('data-state="connecting"');
      const state = () => page.locator('#unread').getAttribute('data-state');
      await expect.poll(state).toBe('live');
    });
  });
});
