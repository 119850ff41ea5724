import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { findChromium, startBrowser } from '../browser/pages.ts';
import type { System } from '../support/system.ts';
import { type Console, type ConsoleOptions, openConsole, operatorToken } from './console.ts';

/** The browser of these tests; `undefined` where none is installed, and they are skipped. */
export const CHROMIUM = findChromium();

/** A browser and a system for the tests of a `describe`, and the tabs that they open. */
export interface Stage {
  readonly browser: Browser;
  readonly system: System;
  /** The tab that the test opened last. */
  readonly opened: Console;
  /** A tab at the first page; without a token at the way in. */
  open(token?: string, options?: ConsoleOptions): Promise<Console>;
  /** A tab at a page by its address, such as `topics?topics=a`, with an operator's token if absent. */
  openPage(address: string, token?: string): Promise<Page>;
}

/**
 * Starts both before the tests, and stops them afterwards. After each test its tabs are closed; a complaint of the browser about
 * one of them fails the test.
 *
 * @param start starts the system
 */
export function setStage(start: () => Promise<System>): Stage {
  let browser: Browser;
  let system: System;
  let tabs: Console[] = [];

  beforeAll(async () => {
    [browser, system] = await Promise.all([startBrowser(CHROMIUM ?? ''), start()]);
  });

  afterEach(async () => {
    const closing = tabs;
    tabs = [];
    await Promise.all(closing.map((tab) => tab.close()));
    expect(closing.flatMap(({ complaints }) => complaints)).toEqual([]);
  });

  afterAll(async () => {
    await browser?.close();
    await system?.stop();
  });

  const open: Stage['open'] = async (token, options) => {
    const tab = await openConsole(browser, system, token, options);
    tabs.push(tab);
    return tab;
  };
  return {
    get browser() {
      return browser;
    },
    get system() {
      return system;
    },
    get opened() {
      return tabs.at(-1) as Console;
    },
    open,
    async openPage(address, token) {
      const { page, go } = await open(token ?? (await operatorToken()));
      await page.getByRole('navigation', { name: 'Pages' }).waitFor();
      await go(address);
      return page;
    },
  };
}
