import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { MUTATIONS, type Mutation } from './mutations.ts';

/*
 * `npm run test:mutations [-- --only <word>]`: makes each mistake in a copy of the gateway, and runs
 * worlds on it until a checker finds the mistake. A mistake that no checker finds shows a weak checker.
 */

const run = promisify(execFile);

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    seeds: { type: 'string', default: '400' },
    steps: { type: 'string', default: '1500' },
  },
});

interface Verdict {
  readonly found: boolean;
  readonly how: string;
}

const root = process.cwd();
// Copied once, because somebody may edit the sources meanwhile.
const original = mkdtempSync(join(tmpdir(), 'tidemark-original-'));
copySources(root, original);
const unharmed = await findFailure(original);
if (unharmed.found) throw new Error(`Without a mistake there is a failure: ${unharmed.how}`);
const chosen = MUTATIONS.filter(({ mistake, file }) => `${mistake} ${file}`.includes(values.only));
const verdicts: Verdict[] = [];
for (const mutation of chosen) {
  const verdict = await judge(mutation);
  verdicts.push(verdict);
  const { mistake, file } = mutation;
  console.log(
    `| ${mistake} | ${file} | ${verdict.found ? '' : '**'}${verdict.how}${verdict.found ? '' : '**'} |`,
  );
}
rmSync(original, { recursive: true, force: true });
const found = verdicts.filter((verdict) => verdict.found).length;
console.log(`\n${found} of ${chosen.length} mistakes were found.`);
if (found < chosen.length) process.exitCode = 1;

async function judge({ file, text, replacement, test, rare }: Mutation): Promise<Verdict> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-mutation-'));
  try {
    copySources(original, folder);
    const path = join(folder, 'services/gateway/src', file);
    const source = readFileSync(path, 'utf8');
    if (source.split(text).length !== 2) return { found: false, how: 'the text is not there once' };
    writeFileSync(
      path,
      source.replace(text, () => replacement),
    );
    const verdict = await findFailure(folder, rare);
    return verdict.found || test === undefined ? verdict : await runTest(folder, test);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function copySources(from: string, to: string): void {
  for (const part of ['services/gateway/src', 'test/simulation', 'tsconfig.base.json']) {
    const filter = (path: string): boolean => !/\/dist(\/|$)/.test(path);
    cpSync(join(from, part), join(to, part), { recursive: true, filter });
  }
  writeFileSync(join(to, 'package.json'), '{"type":"module"}');
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'));
}

async function findFailure(folder: string, rare?: Mutation['rare']): Promise<Verdict> {
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  // A mistake may leave names unused or conditions constant, so types are not checked.
  await run(process.execPath, [compiler, '-p', 'test/simulation', '--noCheck'], { cwd: folder });
  const main = 'test/simulation/dist/test/simulation/main.js';
  const seeds = rare ? `${rare.seed}..${rare.seed}` : `1..${values.seeds}`;
  const args = ['--seeds', seeds, '--steps', `${rare?.steps ?? values.steps}`];
  try {
    await run(process.execPath, [main, ...args], { cwd: folder });
    return { found: false, how: `not found in the seeds ${seeds}` };
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    const [, seed, check] = /^seed (\d+): ([^:\n]+)/m.exec(stdout) ?? [];
    if (seed === undefined)
      return { found: false, how: `the run itself failed: ${stderr.slice(0, 200)}` };
    return { found: true, how: `${check}, seed ${seed}` };
  }
}

/** @returns `found: true` when a test of the file fails */
async function runTest(folder: string, test: string): Promise<Verdict> {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const path = join('services/gateway/src', test);
  try {
    const env = { ...process.env, NO_COLOR: '1' };
    await run(process.execPath, [vitest, 'run', path], { cwd: folder, env });
    return { found: false, how: `not found by ${test}` };
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    const [, failed] = /FAIL\s+\S+ > [^>]+ > ([^\n]+)/.exec(stderr) ?? [];
    return { found: failed !== undefined, how: `${test}: ${failed ?? 'did not run'}` };
  }
}
