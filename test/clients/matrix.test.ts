import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findChromium, type Site, startBrowser } from '../browser/pages.ts';
import { type System, startSystem } from '../support/system.ts';
import { COOKIE, startModuleSite, startPage } from './client-page.ts';
import { CLIENTS, type Client, startProgram } from './clients.ts';
import { CuttingProxy } from './cutting-proxy.ts';
import { type Phase, type Run, runAlone, runTogether } from './scenario.ts';

/*
 * Clients of SSE that others wrote, as PROTOCOL.md section 7.1 says that each is used. All go through
 * one scenario at the same time, each on a topic and behind a proxy of its own.
 */

const chromium = findChromium();

let system: System;
let site: Site;
let browser: Browser | undefined;
const runs = new Map<Client, Run>();

beforeAll(async () => {
  site = await startModuleSite();
  [browser, system] = await Promise.all([
    chromium === undefined ? undefined : startBrowser(chromium),
    startSystem({
      env: {
        TIDEMARK_GATEWAY_HEARTBEAT_MS: '200',
        TIDEMARK_ALLOWED_ORIGINS: site.origin,
        TIDEMARK_TOKEN_COOKIE: COOKIE,
      },
    }),
  ]);
  const present = CLIENTS.filter((client) => lack(client) === undefined);
  await Promise.all(
    present.map(async (client, index) => runs.set(client, await start(client, index))),
  );
  await Promise.all([...runs.values()].map((run) => runAlone(system, run)));
  await runTogether(system, [...runs.values()]);
}, 120_000);

afterAll(async () => {
  await Promise.all([...runs.values()].map(({ process }) => process.stop()));
  for (const { proxy } of runs.values()) proxy.stop();
  await browser?.close();
  await Promise.all([system?.stop(), site?.stop()]);
});

function lack({ lacks, run }: Client): string | undefined {
  return 'page' in run && chromium === undefined ? 'Chromium' : lacks;
}

/** What lets the tests of a client be skipped. CI has to have everything. */
function need(client: Client): string | undefined {
  return process.env.CI === 'true' ? undefined : lack(client);
}

async function start(client: Client, index: number): Promise<Run> {
  const topic = `clients.${index}`;
  const proxy = await CuttingProxy.start(system.gateway.port);
  const target = { url: `${proxy.url}/v1/sse?topics=${topic}`, token: system.token };
  const { run } = client;
  const process =
    'page' in run && browser
      ? await startPage(browser, site.origin, run.page, target)
      : startProgram(client, target);
  return { client, topic, process, proxy, done: new Set(), failure: undefined };
}

function expectDone(client: Client, phase: Phase): void {
  const run = runs.get(client);
  if (!run) throw new Error(`There is no ${lack(client)} here.`);
  if (run.failure?.phase === phase) throw run.failure.error;
  expect(run.done, `a failure in ${run.failure?.phase}`).toContain(phase);
}

describe.each(CLIENTS)('$name', (client) => {
  const missing = need(client);
  const title = (text: string) => (missing === undefined ? text : `${text} (needs ${missing})`);
  const cases: [Phase, string][] = [
    ['in order', 'receives events in order, and any text unharmed'],
    ['cut', 'is cut within an event: receives it and the others once'],
    ['idle', 'is cut while idle: comes back with a position, and gets exactly what it missed'],
    ['largest', 'receives the largest event'],
    ['killed', 'the gateway is killed: comes back to the next one'],
    ['restarted', 'the gateway ends its stream: comes back to the next one'],
    ['at last', 'has received each event once, and nothing empty'],
  ];
  test
    .skipIf(missing !== undefined)
    .each(cases.map(([phase, text]) => [title(text), phase] as const))('%s', (_, phase) =>
    expectDone(client, phase),
  );
});
