import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { makeToken, TEST_SECRET } from '../support/services.ts';
import { ids, type System, series, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';
import { findChromium, startBrowser } from './pages.ts';

/* The examples of libs/client/examples, each started by its own command. */

const ROOT = new URL('../..', import.meta.url);
const executable = findChromium();

let system: System;
let folder: string;
const started: ChildProcess[] = [];

beforeAll(async () => {
  // As `npm start` has it for replay: other pages than the console's are refused.
  system = await startSystem({ env: { TIDEMARK_ALLOWED_ORIGINS: 'http://127.0.0.1:1' } });
  folder = await mkdtemp(join(tmpdir(), 'tidemark-examples-'));
});
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});
afterAll(async () => {
  await system?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Starts a program of the examples. @returns the lines that it prints */
function start(program: string, ...args: string[]): { child: ChildProcess; lines: string[] } {
  const child = spawn(process.execPath, [`libs/client/examples/${program}`, ...args], {
    cwd: ROOT,
    env: {
      PATH: process.env.PATH,
      GATEWAY_URL: system.gateway.url,
      INGEST_URL: system.ingest.url,
      REPLAY_URL: system.replay.url,
      TIDEMARK_TOKEN_SECRET: TEST_SECRET,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started.push(child);
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  return { child, lines };
}

describe('worker', () => {
  test('killed in the middle, and started again: handles every event, and few twice', async () => {
    await system.publisher.storeAll(series('example-work.a', 1, 500));
    const args = ['--topics', 'example-work.*', '--folder', folder];
    const handled = (lines: readonly string[]) => lines.map((line) => line.split(' ')[2] ?? '');
    const first = start('worker/main.mjs', ...args);
    await until(() => first.lines.length >= 300);
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    await system.publisher.storeAll(series('example-work.a', 501, 600));
    const second = start('worker/main.mjs', ...args);
    await until(() => handled(second.lines).includes('600'));
    second.child.kill('SIGTERM');
    const [code] = await once(second.child, 'exit');
    expect(code).toBe(0);
    const again = handled(second.lines);
    expect(again).toEqual(ids(1, 600).slice(-again.length));
    const before = handled(first.lines);
    expect(before).toEqual(ids(1, 600).slice(0, before.length));
    expect(before.length + again.length).toBeGreaterThanOrEqual(600);
  });
});

describe.skipIf(executable === undefined)('pages (need Chromium)', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser(executable ?? '');
  });
  afterAll(() => browser?.close());

  async function serve(name: string): Promise<string> {
    const { lines } = start('serve.mjs', name, '--port', '0');
    await until(() => lines.length > 0);
    return /http:\/\/127\.0\.0\.1:\d+/.exec(lines[0] ?? '')?.[0] ?? '';
  }

  /** A page that says each error that it has. */
  async function open(url: string): Promise<Page> {
    const context = await browser.newContext();
    contexts.push(context);
    const page = await context.newPage();
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text());
    });
    await page.goto(url);
    return page;
  }
  const errors: string[] = [];
  const contexts: BrowserContext[] = [];
  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
    expect(errors.splice(0)).toEqual([]);
  });

  const texts = (page: Page, selector: string) => page.locator(selector).allTextContents();

  test('chat: two people: each sees what both said, once and in order', async () => {
    const url = await serve('chat');
    const [alice, bob] = await Promise.all([open(url), open(`${url}/?user=bob`)]);
    const say = async (page: Page, text: string) => {
      await page.getByLabel('Message').fill(text);
      await page.getByRole('button', { name: 'Send' }).click();
      for (const one of [alice, bob])
        await until(
          async () =>
            (await texts(one, '#messages li:not(.pending)')).at(-1)?.endsWith(text) ?? false,
        );
    };
    await say(alice, 'Hello');
    await say(bob, 'Good morning');
    await say(alice, 'Bye');
    const said = ['alice: Hello', 'bob: Good morning', 'alice: Bye'];
    expect(await texts(alice, '#messages li')).toEqual(said);
    expect(await texts(bob, '#messages li')).toEqual(said);
    const late = await open(url);
    await until(async () => (await texts(late, '#messages li')).length === 3);
    expect(await texts(late, '#messages li')).toEqual(said);
  });

  test('orders: pages that load while orders change: show what the back end has', async () => {
    const url = await serve('orders');
    const state = async () => {
      const answer = await fetch(`${url}/api/orders`);
      const orders = (await answer.json()) as Record<string, { version: number; total: number }>;
      return Object.entries(orders)
        .map(([name, { version, total }]) => `${name}${version}${total}`)
        .sort();
    };
    await until(async () => (await state()).length === 5);
    const page = await open(url);
    for (let round = 0; round < 3; round++) {
      const wanted = await state();
      const shown = async () => (await texts(page, '#orders tr')).sort();
      // Orders go on changing: what is shown is what the back end had in the meantime.
      await until(async () => {
        const [now, seen] = [await state(), await shown()];
        return (
          JSON.stringify(now) === JSON.stringify(seen) &&
          JSON.stringify(now) !== JSON.stringify(wanted)
        );
      });
    }
  });

  test('jobs: a page that is slow: is spared steps, and shows the end', async () => {
    const url = await serve('jobs');
    const page = await open(url);
    await page.getByLabel('this page is slow').check();
    await page.getByRole('button', { name: 'Start a job' }).click();
    const percent = () => page.locator('progress').evaluate((bar: { value?: number }) => bar.value);
    await until(
      async () => (await page.locator('progress').count()) === 1 && (await percent()) === 100,
    );
  });

  test.each(['bell', 'bell-react'])(
    '%s: two devices of one user: count, list and mark the same',
    async (name) => {
      const user = name.replace('-', '');
      const url = `${await serve(name)}/?user=${user}`;
      const [phone, desk] = await Promise.all([open(url), open(url)]);
      const bell = (page: Page) => page.getByRole('button', { name: /^Notifications/ });
      const counts = async () => {
        const headers = {
          authorization: `Bearer ${await makeToken(`inbox:> subscribe:user.${user}.>`, user)}`,
        };
        const answer = await fetch(`${system.replay.url}/v1/inbox/counts`, { headers });
        const { unread, unseen } = (await answer.json()) as { unread: number; unseen: number };
        return [unread, unseen];
      };
      const shown = (page: Page) => texts(page, '.badge');
      for (let n = 1; n <= 3; n++) {
        await phone.getByRole('button', { name: 'Notify me' }).click();
        for (const page of [phone, desk])
          await until(async () => (await shown(page)).join() === String(n));
      }
      expect(await counts()).toEqual([3, 3]);
      await bell(desk).click();
      await until(async () => (await counts()).join() === '3,0');
      const items = desk.locator('li');
      await until(async () => (await items.count()) === 3);
      if (name === 'bell') await items.first().getByRole('button').click();
      else await items.first().getByRole('button').first().click();
      for (const page of [phone, desk]) await until(async () => (await shown(page)).join() === '2');
      expect(await counts()).toEqual([2, 0]);
    },
  );

  test('a name that is none: says which there are', async () => {
    const child = spawn(process.execPath, ['libs/client/examples/serve.mjs', 'nothing'], {
      cwd: ROOT,
    });
    const [text] = (await once(child.stderr, 'data')) as [Buffer];
    expect(text.toString()).toContain('Name one of these: bell, bell-react, chat, jobs, orders.');
    expect((await once(child, 'exit'))[0]).toBe(1);
  });
});
