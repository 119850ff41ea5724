import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { type Mutation, makeMistake, partOf } from './mutation.ts';
import { MUTATIONS } from './mutations.ts';

/*
 * `npm run test:mutations [-- --only <word>]`: makes each mistake in a copy of the sources, and runs
 * worlds on it until a checker finds the mistake. A mistake that no checker finds shows a weak checker.
 */

const run = promisify(execFile);

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    seeds: { type: 'string', default: '1000' },
    steps: { type: 'string', default: '1000' },
  },
});

/** What a copy holds. The libraries are copied with what was built of them. */
const COPIED = [
  'libs',
  'services/gateway/src',
  'services/replay/src',
  'test/simulation',
  'test/support/chunks.ts',
  'tsconfig.base.json',
];
const OWN_SCOPE = '@tidemark';

interface Verdict {
  readonly found: boolean;
  readonly how: string;
  /** Whether the worlds could not run at all. */
  readonly isBroken?: boolean;
}

const root = process.cwd();
// Copied once, because somebody may edit the sources meanwhile.
const original = mkdtempSync(join(tmpdir(), 'tidemark-original-'));
copySources(root, original);
const unharmed = await findFailure(original);
if (unharmed.found || unharmed.isBroken) {
  throw new Error(`Without a mistake there is a failure: ${unharmed.how}`);
}
const chosen = MUTATIONS.filter((mutation) => {
  return `${mutation.mistake} ${partOf(mutation)}/src/${mutation.file}`.includes(values.only);
});
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

async function judge(mutation: Mutation): Promise<Verdict> {
  const part = partOf(mutation);
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-mutation-'));
  try {
    copySources(original, folder);
    makeMistake(folder, mutation);
    if (part.startsWith('libs/')) await compile(folder, part);
    const { test } = mutation;
    const verdict = test ? await runTest(folder, join(part, 'src', test)) : undefined;
    return verdict?.found ? verdict : await findFailure(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function copySources(from: string, to: string): void {
  const filter = (path: string): boolean => !/^(?!.*\/libs\/).*\/dist(\/|$)/.test(path);
  for (const part of COPIED) cpSync(join(from, part), join(to, part), { recursive: true, filter });
  writeFileSync(join(to, 'package.json'), '{"type":"module"}');
  const modules = join(to, 'node_modules');
  mkdirSync(modules);
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (name !== OWN_SCOPE) symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
  mkdirSync(join(modules, OWN_SCOPE));
  for (const name of readdirSync(join(to, 'libs'))) {
    symlinkSync(join(to, 'libs', name), join(modules, OWN_SCOPE, name));
  }
}

async function findFailure(folder: string): Promise<Verdict> {
  await compile(folder, 'test/simulation');
  const main = 'test/simulation/dist/test/simulation/main.js';
  const seeds = `1..${values.seeds}`;
  const args = ['--seeds', seeds, '--steps', values.steps];
  try {
    await run(process.execPath, [main, ...args], { cwd: folder });
    return { found: false, how: `not found in the seeds ${seeds}` };
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    const [, seed, check] = /^seed (\d+): ([^:\n]+)/m.exec(stdout) ?? [];
    if (seed === undefined) {
      return { found: false, how: `the run failed: ${stderr.slice(0, 200)}`, isBroken: true };
    }
    return { found: true, how: `${check}, seed ${seed}` };
  }
}

/** A mistake may leave names unused or conditions constant, so types are not checked. */
async function compile(folder: string, part: string): Promise<void> {
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  await run(process.execPath, [compiler, '-p', part, '--noCheck'], { cwd: folder });
}

/** @returns `found: true` when a test of the file fails */
async function runTest(folder: string, path: string): Promise<Verdict> {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  try {
    const env = { ...process.env, NO_COLOR: '1' };
    await run(process.execPath, [vitest, 'run', path], { cwd: folder, env });
    return { found: false, how: `not found by ${path}` };
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    const [, failed] = /FAIL\s+\S+ > (?:[^>\n]+ > )?([^\n]+)/.exec(stderr) ?? [];
    return { found: failed !== undefined, how: `${path}: ${failed ?? 'did not run'}` };
  }
}
