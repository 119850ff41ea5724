import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { freePorts } from '../support/free-ports.ts';
import { makeToken } from '../support/services.ts';
import { type System, type SystemOptions, startSystem } from '../support/system.ts';

/* The console as a person has it: a Chromium, a token, and what the browser complains about. */

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Of answers such as 404, and of gateways that are away, the browser tells on its own. */
const OF_THE_NETWORK = /^(Failed to load resource|WebSocket connection to .* failed)/;

/** A wide window, and a phone. */
export const SIZES = {
  wide: { width: 1360, height: 860 },
  phone: { width: 390, height: 844 },
} as const;

export interface ConsoleOptions {
  readonly scheme?: 'light' | 'dark';
  readonly size?: keyof typeof SIZES;
}

/** One tab with the console. */
export interface Console {
  readonly page: Page;
  /** Errors of scripts, and what the policy of the page forbade. */
  readonly complaints: readonly string[];
  /** Goes to a page by its address, such as `connections?slow=true`. */
  go(page: string): Promise<void>;
  /** Ways in which the page keeps somebody out, by axe-core. */
  barriers(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** A system whose first gateway serves the console, which reaches replay at its own address. */
export async function startConsoleSystem({
  gateways = 1,
  env = {},
}: Pick<SystemOptions, 'gateways' | 'env'> = {}): Promise<System> {
  const [port = 0] = await freePorts(1);
  const system = await startSystem({
    gateways: 0,
    env: { ...env, TIDEMARK_ALLOWED_ORIGINS: `http://127.0.0.1:${port}` },
  });
  const console = { TIDEMARK_GATEWAY_CONSOLE_REPLAY_URL: system.replay.url };
  await system.startGateway({ ...console, TIDEMARK_GATEWAY_PORT: String(port) });
  for (let count = 1; count < gateways; count++) await system.startGateway(console);
  return system;
}

/** Opens the console of the system's first gateway with a token in its address; without one at the way in. */
export async function openConsole(
  browser: Browser,
  { gateway }: { readonly gateway: Pick<System['gateway'], 'url'> },
  token: string | undefined,
  { scheme = 'light', size = 'wide' }: ConsoleOptions = {},
): Promise<Console> {
  const context = await browser.newContext({ colorScheme: scheme, viewport: SIZES[size] });
  const page = await context.newPage();
  const complaints = collectComplaints(page);
  const home = `${gateway.url}/console/`;
  await page.goto(token === undefined ? home : `${home}#token=${token}`);
  return {
    page,
    complaints,
    async go(name) {
      await page.goto(`${home}#/${name}`);
    },
    barriers: () => barriers(page),
    close: () => closeContext(context),
  };
}

/** A token of somebody who may do everything. */
export function operatorToken(): Promise<string> {
  return makeToken('admin subscribe:> publish:> history:> inbox:>', 'operator');
}

function collectComplaints(page: Page): string[] {
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    const text = message.text();
    if (message.type() === 'error' && !OF_THE_NETWORK.test(text)) complaints.push(text);
  });
  return complaints;
}

interface Axe {
  run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>;
}

async function barriers(page: Page): Promise<readonly string[]> {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: Axe }).axe.run(),
  );
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

async function closeContext(context: BrowserContext): Promise<void> {
  await context.close();
}
