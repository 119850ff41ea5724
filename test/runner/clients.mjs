import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from '../../infra/launcher/checkout.mjs';
import { run, succeeds } from '../../infra/launcher/command.mjs';
import { makeWritable } from '../../infra/launcher/folders.mjs';
import { cacheFolder } from '../../infra/launcher/nats-server.mjs';
import { installOwnPackages } from './own-packages.mjs';

const FOLDER = join(ROOT, 'test', 'clients');
const GO_FILES = ['go.mod', 'go.sum', 'r3labs/main.go', 'tmaxmax/main.go'];

/** @param {readonly string[]} args vitest's filters and options */
export function asksForClients(args) {
  return args.some((arg) => /^(--project=)?clients$|test\/clients/.test(arg));
}

/**
 * Installs the clients that test/clients drives: those of npm in its folder, and those of Python and Go
 * in the cache of this user.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @param {(text: string) => void} say
 * @returns {Promise<Record<string, string>>} variables for the tests, which skip the clients whose variable
 *   is absent
 */
export async function provideClients(environment, say) {
  await installOwnPackages(FOLDER, 'the clients', say);
  const python = await providePython(environment, say);
  const go = await provideGo(environment, say);
  return {
    TEST_CLIENTS: 'installed',
    ...(python !== undefined && { TEST_CLIENTS_PYTHON: python }),
    ...(go !== undefined && { TEST_CLIENTS_GO: go }),
  };
}

/** @param {NodeJS.ProcessEnv} env @param {(text: string) => void} say */
async function providePython(env, say) {
  if (!(await succeeds('python3', ['-m', 'pip', '--version'], { env }))) return undefined;
  const list = join(FOLDER, 'requirements.txt');
  return make(env, say, { name: 'Python', files: [list] }, (folder) =>
    run(
      'python3',
      [
        ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--target', folder],
        ...['--only-binary', ':all:', '--require-hashes', '-r', list],
      ],
      { env, guarded: true },
    ),
  );
}

/** @param {NodeJS.ProcessEnv} env @param {(text: string) => void} say */
async function provideGo(env, say) {
  if (!(await succeeds('go', ['version'], { env }))) return undefined;
  const cwd = join(FOLDER, 'go');
  const files = GO_FILES.map((file) => join(cwd, file));
  return make(env, say, { name: 'Go', files }, (folder) =>
    run('go', ['build', '-trimpath', '-o', `${folder}/`, './...'], {
      cwd,
      env: { ...env, CGO_ENABLED: '0' },
      guarded: true,
    }),
  );
}

/**
 * Makes a folder from these files, once for this user.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {(text: string) => void} say
 * @param {{ readonly name: string, readonly files: readonly string[] }} from
 * @param {(folder: string) => Promise<{ ok: boolean, output: string }>} fill
 * @returns {Promise<string | undefined>} its path; `undefined`: that failed
 */
async function make(env, say, { name, files }, fill) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(file));
  const kind = `${name.toLowerCase()}-${hash.digest('hex').slice(0, 16)}`;
  const place = join(dirname(cacheFolder(env)), 'clients', kind);
  if (existsSync(place)) return place;
  makeWritable(dirname(place), 'set XDG_CACHE_HOME to another');
  mkdirSync(dirname(place), { recursive: true });
  const work = mkdtempSync(join(dirname(place), '.work-'));
  try {
    say(`Installing the clients of ${name}, once for this user …`);
    const { ok, output } = await fill(work);
    if (!ok) {
      say(`The clients of ${name} could not be installed: ${output.trim()}`);
      return undefined;
    }
    renameSync(work, place);
    return place;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
