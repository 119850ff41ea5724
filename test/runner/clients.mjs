import { join } from 'node:path';
import { ROOT } from '../../infra/launcher/checkout.mjs';
import { run, succeeds } from '../../infra/launcher/command.mjs';
import { installOwnPackages, installPythonPackages, makeOnce } from './own-packages.mjs';

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
  const list = join(FOLDER, 'requirements.txt');
  const python = await installPythonPackages(list, 'the clients', environment, say);
  const go = await provideGo(environment, say);
  return {
    TEST_CLIENTS: 'installed',
    ...(python !== undefined && { TEST_CLIENTS_PYTHON: python }),
    ...(go !== undefined && { TEST_CLIENTS_GO: go }),
  };
}

/** @param {NodeJS.ProcessEnv} env @param {(text: string) => void} say */
async function provideGo(env, say) {
  if (!(await succeeds('go', ['version'], { env }))) return undefined;
  const cwd = join(FOLDER, 'go');
  const files = GO_FILES.map((file) => join(cwd, file));
  return makeOnce(env, say, { kind: 'go', name: 'the clients of Go', files }, (folder) =>
    run('go', ['build', '-trimpath', '-o', `${folder}/`, './...'], {
      cwd,
      env: { ...env, CGO_ENABLED: '0' },
      guarded: true,
    }),
  );
}
