import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findChromium, type Site, startBrowser } from '../browser/pages.ts';
import { numbered, type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';
import { startModuleSite, startPage } from './client-page.ts';
import { type Client, goProgram, pythonProgram, startProgram } from './clients.ts';
import { CuttingProxy } from './cutting-proxy.ts';

/*
 * What clients do without the settings that PROTOCOL.md section 7.1 names for them. Where one of these
 * fails, a newer version of the client may need less.
 */

/** The lines of the Go clients have at most 64 KiB, with the name of the field. */
const FITS = 'x'.repeat(60 * 1024);
const TOO_LONG = 'x'.repeat(70 * 1024);

const HTTPX_READ_TIMEOUT_MS = 5000;

const chromium = findChromium();
const inCi = process.env.CI === 'true';

let system: System;
let site: Site;
const proxies: CuttingProxy[] = [];

beforeAll(async () => {
  site = await startModuleSite();
  system = await startSystem({ env: { TIDEMARK_ALLOWED_ORIGINS: site.origin } });
});

afterAll(async () => {
  for (const proxy of proxies) proxy.stop();
  await Promise.all([system?.stop(), site?.stop()]);
});

async function startProxy(topic: string) {
  const proxy = await CuttingProxy.start(system.gateway.port);
  proxies.push(proxy);
  return { proxy, target: { url: `${proxy.url}/v1/sse?topics=${topic}`, token: system.token } };
}

describe.each(['r3labs', 'tmaxmax'])('%s with its own buffer', (name) => {
  const client = goProgram(name, 'default');
  test.skipIf(client.lacks !== undefined && !inCi)(
    'takes 60 KiB; comes back at the same cursor for ever for 70 KiB (needs Go)',
    async () => {
      const { proxy, target } = await startProxy(name);
      const { seen, stop } = startProgram(client, target);
      const has = (id: string) => seen.some(({ data }) => String(data).includes(`"id":"${id}"`));
      await until(() => proxy.live);
      await system.publisher.store({ ...numbered(name, 1), data: FITS });
      await until(() => has('1'));
      await system.publisher.store({ ...numbered(name, 2), data: TOO_LONG });
      await until(() => proxy.asked.length >= 4);
      await stop();
      const [first, ...more] = proxy.asked.slice(1).map(({ cursor }) => cursor);
      expect(new Set(more)).toEqual(new Set([first]));
      expect(has('2')).toBe(false);
    },
  );
});

describe('httpx-sse with its own timeouts', () => {
  const client: Pick<Client, 'run' | 'lacks'> = pythonProgram('httpx_sse_client.py', 'default');
  test.skipIf(client.lacks !== undefined && !inCi)(
    'comes back every 5 s, before the first heartbeat (needs Python with pip)',
    async () => {
      const { proxy, target } = await startProxy('httpx');
      const { stop } = startProgram(client, target);
      await until(() => proxy.live);
      await sleep(HTTPX_READ_TIMEOUT_MS / 2);
      expect(proxy.asked).toHaveLength(1);
      await until(() => proxy.asked.length === 2, 'its return', 2 * HTTPX_READ_TIMEOUT_MS);
      await stop();
    },
  );
});

describe('fetch-event-source without onclose', () => {
  test.skipIf(chromium === undefined && !inCi)(
    'comes back after a cut; stops for good where the gateway ends the stream (needs Chromium)',
    async () => {
      const browser = await startBrowser(chromium ?? '');
      try {
        const { proxy, target } = await startProxy('onclose');
        await startPage(browser, site.origin, 'fetch-event-source-default', target);
        await until(() => proxy.live);
        proxy.goAway('reset');
        proxy.comeBack();
        await until(() => proxy.asked.length === 2);
        await system.gateway.restart();
        await sleep(1000);
        expect(proxy.asked).toHaveLength(2);
      } finally {
        await browser.close();
      }
    },
  );
});
