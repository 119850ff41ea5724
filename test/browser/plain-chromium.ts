import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';
import { until } from '../support/until.ts';
import { FLAGS } from './pages.ts';

/**
 * Chromium as people have it. When playwright starts one itself, no tab is ever hidden, no timer is held back in the
 * background, and there is no back/forward cache.
 */
export interface PlainChromium {
  /** All tabs are in one window: one of them is visible. */
  readonly context: BrowserContext;
  close(): Promise<void>;
}

export async function startPlainChromium(executable: string): Promise<PlainChromium> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-chromium-'));
  const more = ['--remote-debugging-port=0', `--user-data-dir=${folder}`, 'about:blank'];
  const child = spawn(executable, [...FLAGS, ...more], { stdio: 'ignore' });
  process.once('exit', () => child.kill('SIGKILL'));
  const portFile = join(folder, 'DevToolsActivePort');
  await until(() => existsSync(portFile) && readFileSync(portFile, 'utf8').includes('\n'));
  const [port] = readFileSync(portFile, 'utf8').split('\n');
  const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`, { noDefaults: true });
  const [context] = browser.contexts();
  if (!context) throw new Error('Chromium has no window.');
  return {
    context,
    async close() {
      await browser.close();
      const ended = once(child, 'exit');
      child.kill();
      await ended;
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
