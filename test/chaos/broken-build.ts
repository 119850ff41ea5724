import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Mutation, makeMistake } from '../simulation/mutation.ts';
import { MUTATIONS } from '../simulation/mutations.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const COPIED = [
  'infra',
  'libs',
  'services',
  'test',
  'package.json',
  'tsconfig.base.json',
  'tsconfig.json',
];
const OWN_SCOPE = '@tidemark';

/** What was built or recorded. It stays behind, so that the copy is built as a whole. */
const LEFT_OUT = /^(dist|data|coverage|.*\.tsbuildinfo)$/;

/**
 * Makes a mistake of the simulation's list in a copy of the checkout, builds the copy, and runs chaos on it.
 *
 * @param words what the mistake's name contains
 * @param args the arguments of the run in the copy
 * @returns the exit code of that run: 1 when the mistake was found
 * @throws Error when no mistake, or more than one, has these words
 */
export async function runBrokenBuild(words: string, args: readonly string[]): Promise<number> {
  const mutation = findMutation(words);
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-broken-'));
  try {
    for (const name of COPIED) {
      const filter = (path: string) => !LEFT_OUT.test(basename(path));
      cpSync(join(ROOT, name), join(folder, name), { recursive: true, filter });
    }
    linkModules(folder);
    makeMistake(folder, mutation);
    // A mistake may leave names unused or conditions constant, so types are not checked.
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
    await promisify(execFile)(process.execPath, [compiler, '-b', '--noCheck'], { cwd: folder });
    console.log(`broken build: ${mutation.mistake}`);
    return await runCopy(folder, args);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function findMutation(words: string): Mutation {
  const found = MUTATIONS.filter(({ mistake }) => mistake.includes(words));
  const [mutation] = found;
  if (mutation && found.length === 1) return mutation;
  const names = (found.length > 0 ? found : MUTATIONS).map(({ mistake }) => `  ${mistake}`);
  throw new Error(`"${words}" has to name one of these mistakes:\n${names.join('\n')}`);
}

/** Packages are shared, and the workspaces among them are the copies. */
function linkModules(folder: string): void {
  const modules = join(ROOT, 'node_modules');
  const linked = join(folder, 'node_modules');
  mkdirSync(linked);
  for (const name of readdirSync(modules)) {
    if (name !== OWN_SCOPE) symlinkSync(join(modules, name), join(linked, name));
  }
  cpSync(join(modules, OWN_SCOPE), join(linked, OWN_SCOPE), {
    recursive: true,
    verbatimSymlinks: true,
  });
}

async function runCopy(folder: string, args: readonly string[]): Promise<number> {
  const main = join(folder, 'test/chaos/main.ts');
  const child = spawn(process.execPath, [...process.execArgv, main, ...args], { stdio: 'inherit' });
  process.once('exit', () => child.kill());
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}
