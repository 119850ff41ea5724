import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import type { CostFile } from '../capacity/costs.ts';

const MAIN = fileURLToPath(new URL('../capacity/main.ts', import.meta.url));
const QUICK_TIMEOUT_MS = 240_000;

const execute = promisify(execFile);

function run(...args: string[]) {
  const typescript = ['--experimental-strip-types', '--disable-warning=ExperimentalWarning'];
  return execute(process.execPath, [...typescript, MAIN, ...args]);
}

test('capacity: plans from the published costs', async () => {
  const { stdout } = await run('--plan', '--connections', '1000000', '--events-per-second', '1000');
  expect(stdout).toContain('1,000,000 connections, 1,000 events/s of 300 bytes');
  expect(stdout).toMatch(/\| gateway +\| \d\d+ /);
  expect(stdout).toMatch(/one stream takes [\d.,]+ times this load\./);
});

test('capacity: tells where one stream ends', async () => {
  const failure = await run('--plan', '--events-per-second', '1000000').catch((error) => error);
  expect(failure).toMatchObject({ code: 2 });
  expect(failure.stdout).toContain('This is more than one stream takes');
});

test('capacity: refuses an option that it does not know', async () => {
  await expect(run('--conections', '5')).rejects.toMatchObject({ code: 1 });
  await expect(run('--connections', '5')).rejects.toMatchObject({
    stderr: expect.stringContaining('--connections needs --plan.'),
  });
});

test.runIf(process.env.ALL_TESTS === 'yes')(
  'capacity: a quick run measures every cost, and a plan reads them',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-capacity-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const file = join(folder, 'costs.json');
    const { stdout } = await run('--quick', '--json', '--out', file);
    const { quick, costs }: CostFile = JSON.parse(stdout);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(JSON.parse(stdout));
    expect(quick).toBe(true);
    const values = Object.values(costs).flatMap(numbersIn);
    expect(values.filter((value) => !(value >= 0))).toEqual([]);
    expect(costs.websocket.residentBytes).toBeGreaterThan(1000);
    expect(costs.stored.stream.base).toBeGreaterThan(50);
    const planned = await run('--plan', '--costs', file, '--connections', '1000');
    expect(planned.stdout).toContain('1,000 connections');
  },
  QUICK_TIMEOUT_MS,
);

function numbersIn(value: unknown): number[] {
  return typeof value === 'object' && value !== null
    ? Object.values(value).flatMap(numbersIn)
    : [Number(value)];
}
