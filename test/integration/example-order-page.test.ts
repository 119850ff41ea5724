import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BackEnd } from '../../examples/order-page/back-end.mjs';
import { OrderPage } from '../../examples/order-page/page.mjs';
import { type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

/* `npm run example:order-page`, and what it shows: PROTOCOL.md section 4.1. */

const ROOT = new URL('../..', import.meta.url);

let system: System;
beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system?.stop());

function runExample(...args: string[]): Promise<{ code: number | null; output: string }> {
  const { ingest, gateway, replay, token } = system;
  const child = spawn(process.execPath, ['examples/order-page/main.mjs', ...args], {
    cwd: ROOT,
    env: { INGEST_URL: ingest.url, GATEWAY_URL: gateway.url, REPLAY_URL: replay.url, TOKEN: token },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })));
}

test('order page, position first: every page shows what the back end has', async () => {
  const { code, output } = await runExample();
  expect(output).toMatch(/20 pages show exactly .*, 0 do not/);
  expect(output).toMatch(/[1-9]\d* changes came live .*, 0 were missed/);
  // Changes between the two requests, which the page must not apply again.
  expect(output).toMatch(/[1-9]\d* came although the state had them/);
  expect(code).toBe(0);
});

test('order page, state first: changes are missed', async () => {
  const { code, output } = await runExample('--state-first');
  expect(output).toMatch(/[1-9]\d* do not\.$/m);
  expect(output).toMatch(/[1-9]\d* were missed/);
  expect(code).toBe(1);
});

test('order page, its gateway is killed under a write load: it comes back, and misses nothing', async () => {
  const { ingest, gateway, replay, token } = system;
  const settings = { ingest: ingest.url, gateway: gateway.url, replay: replay.url, token };
  const topic = 'example-orders.killed';
  const backEnd = new BackEnd(settings, topic);
  const page = new OrderPage({ settings, stateUrl: await backEnd.listen(), topic, pauseMs: 20 });
  const shown = page.show();
  let writing = true;
  const load = (async () => {
    while (writing) await backEnd.change('a', 1);
  })();
  await until(() => page.counts.applied > 20, 'changes on the page');
  await gateway.kill('SIGKILL');
  await sleep(200);
  await gateway.restart();
  const restarted = page.counts.applied;
  await until(() => page.counts.applied > restarted + 20, 'changes after the restart');
  writing = false;
  await load;
  const last = await backEnd.change('a', 1);
  await until(() => page.cursor === last, 'the last change');
  expect(page.orders).toEqual(backEnd.orders);
  expect(page.counts.missed).toBe(0);
  page.close();
  await shown;
  backEnd.close();
});
