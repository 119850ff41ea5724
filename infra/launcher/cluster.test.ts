import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../../test/support/until.ts';

const START = fileURLToPath(new URL('start.mjs', import.meta.url));
const WAIT_MS = 60_000;

let folder: string;
let launcher: ChildProcess;
let output = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-cluster-'));
  const env = { ...process.env, TIDEMARK_DATA: folder, TIDEMARK_CLUSTER_PORT: '0' };
  launcher = spawn(process.execPath, [START, '--cluster'], { env, stdio: 'pipe' });
  for (const stream of [launcher.stdout, launcher.stderr]) {
    stream?.on('data', (chunk) => {
      output += chunk;
    });
  }
});
afterEach(() => {
  launcher.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

test('npm run start:cluster: one of each killed: what is published afterwards is stored', async () => {
  await until(
    () => output.includes('Any one of these'),
    () => output,
    WAIT_MS,
  );
  const names = [...output.matchAll(/^ {2}(\S+) +port \d+ {2}process/gm)].map(([, name]) => name);
  const services = ['replay', 'ingest', 'gateway'].flatMap((name) => [`${name}-1`, `${name}-2`]);
  expect(names.filter((name) => name !== 'nginx')).toEqual([
    ...['nats-1', 'nats-2', 'nats-3'],
    ...services,
  ]);
  expect(await emit()).toBe(201);
  for (const name of ['nats-1', 'replay-1', 'gateway-1']) {
    process.kill(Number(new RegExp(`${name} .*process (\\d+)`).exec(output)?.[1]), 'SIGKILL');
    const again = `${name} ended (SIGKILL) and starts again`;
    await until(() => output.includes(again), again);
  }
  await until(async () => (await emit()) === 201, 'an event stored', WAIT_MS);
  launcher.kill('SIGTERM');
  const [code] = await once(launcher, 'exit');
  expect(code).toBe(0);
});

async function emit(): Promise<number> {
  const url = /^ {2}ingest +(\S+)/m.exec(output)?.[1];
  const answer = await fetch(`${url}/v1/events`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${/export TOKEN=(\S+)/.exec(output)?.[1]}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ type: 'order.paid', topic: 'orders.42' }),
  });
  return answer.status;
}
