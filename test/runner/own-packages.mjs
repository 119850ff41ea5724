import { run } from '../../infra/launcher/command.mjs';
import { Failure } from '../../infra/launcher/failure.mjs';
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
