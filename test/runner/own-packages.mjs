import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run, succeeds } from '../../infra/launcher/command.mjs';
import { Failure } from '../../infra/launcher/failure.mjs';
import { makeWritable } from '../../infra/launcher/folders.mjs';
import { cacheFolder } from '../../infra/launcher/nats-server.mjs';
import { npmCommand } from '../../infra/launcher/npm.mjs';
import { dependenciesAreCurrent } from '../../infra/launcher/setup.mjs';

/**
 * Installs a package of the tests that is not one of the workspaces, so that a plain install stays small.
 *
 * @param {string} folder where its package.json and its lock file are
 * @param {string} name what people call it
 * @param {(text: string) => void} say
 */
export async function installOwnPackages(folder, name, say) {
  if (dependenciesAreCurrent(folder)) return;
  say(`Installing the packages of ${name} …`);
  const npm = npmCommand(['ci', '--no-audit', '--no-fund', '--ignore-scripts']);
  const { ok, output } = await run(npm.command, npm.args, { cwd: folder, guarded: true });
  if (ok) return;
  console.error(output);
  throw new Failure(`The packages of ${name} could not be installed; see above.`);
}

/**
 * Installs packages of Python into the cache of this user, with the versions and hashes of a list.
 *
 * @param {string} list a requirements file with hashes
 * @param {string} name what people call them
 * @param {NodeJS.ProcessEnv} env
 * @param {(text: string) => void} say
 * @returns {Promise<string | undefined>} their folder; `undefined` where there is no pip, or that failed
 */
export async function installPythonPackages(list, name, env, say) {
  if (!(await succeeds('python3', ['-m', 'pip', '--version'], { env }))) return undefined;
  const what = { kind: 'python', name: `${name} for Python`, files: [list] };
  return makeOnce(env, say, what, (folder) =>
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

/**
 * Makes a folder from these files, once for this user.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {(text: string) => void} say
 * @param {{ readonly kind: string, readonly name: string, readonly files: readonly string[] }} from `kind`
 *   begins the folder's name
 * @param {(folder: string) => Promise<{ ok: boolean, output: string }>} fill
 * @returns {Promise<string | undefined>} its path; `undefined`: that failed
 */
export async function makeOnce(env, say, { kind, name, files }, fill) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(file));
  const folder = `${kind}-${hash.digest('hex').slice(0, 16)}`;
  const place = join(dirname(cacheFolder(env)), 'clients', folder);
  if (existsSync(place)) return place;
  makeWritable(dirname(place), 'set XDG_CACHE_HOME to another');
  mkdirSync(dirname(place), { recursive: true });
  const work = mkdtempSync(join(dirname(place), '.work-'));
  try {
    say(`Installing ${name}, once for this user …`);
    const { ok, output } = await fill(work);
    if (!ok) {
      say(`${name} could not be installed: ${output.trim()}`);
      return undefined;
    }
    try {
      renameSync(work, place);
    } catch (error) {
      // Two test files that need it may have begun at the same time.
      if (!existsSync(place)) throw error;
    }
    return place;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
