import './node-version.mjs';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { endOnSignals, run, succeeds } from './command.mjs';
import { Failure, runMain } from './failure.mjs';
import { takeLock } from './lock.mjs';
import { ROOT } from './settings.mjs';

const OTHER_SETUP_POLL_MS = 500;
const OTHER_SETUP_TIMEOUT_MS = 15 * 60_000;

/** Brings dependencies and build up to date. @param {(text: string) => void} say */
export async function setUp(say) {
  const release = await takeSetupLock(say);
  try {
    if (!dependenciesAreCurrent(ROOT)) await install(say);
    say('Building …');
    await build();
  } finally {
    await release();
  }
}

/**
 * Whether node_modules holds what package-lock.json names. A stamp file answers fast. Without it the
 * record of npm answers, so that an `npm install` by the user is not repeated.
 *
 * @param {string} root
 */
export function dependenciesAreCurrent(root) {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const stamp = readIfThere(stampFile(root));
  const current = newStamp(lock);
  if (stamp === current) return true;
  const sameNode = stamp === undefined || abiOf(stamp) === abiOf(current);
  if (!sameNode || !npmInstalled(root, lock)) return false;
  writeFileSync(stampFile(root), current);
  return true;
}

/** @param {string} root */
function stampFile(root) {
  return join(root, 'node_modules', '.tidemark-setup');
}

/** Names the ABI of Node too, because the native module fits only one. @param {string} lock */
function newStamp(lock) {
  const hash = createHash('sha256').update(lock).digest('hex');
  return `abi ${process.versions.modules} lock ${hash}\n`;
}

/** @param {string} stamp */
function abiOf(stamp) {
  return stamp.split(' ')[1];
}

/** @typedef {Record<string, { version?: string, link?: boolean, optional?: boolean }>} Packages */

/** @param {string} root @param {string} lock */
function npmInstalled(root, lock) {
  const record = readIfThere(join(root, 'node_modules', '.package-lock.json'));
  if (record === undefined) return false;
  /** @type {Packages} */
  const installed = JSON.parse(record).packages;
  /** @type {Packages} */
  const wanted = JSON.parse(lock).packages;
  return Object.entries(wanted).every(
    ([path, { version, link, optional }]) =>
      !path.includes('node_modules/') ||
      (link ? existsSync(join(root, path)) : optional || installed[path]?.version === version),
  );
}

/** @param {(text: string) => void} say */
async function install(say) {
  say('Installing the dependencies …');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { ok, output } = await run(npm, ['ci', '--include=dev', '--no-audit', '--no-fund'], {
    cwd: ROOT,
    guarded: true,
  });
  if (!ok) {
    if (/gyp/.test(output)) await requireCompiler();
    console.error(output);
    throw new Failure('The dependencies could not be installed; what `npm ci` said stands above.');
  }
  const lock = readFileSync(join(ROOT, 'package-lock.json'), 'utf8');
  writeFileSync(stampFile(ROOT), newStamp(lock));
}

/** The native module better-sqlite3 is compiled where no ready build for this machine is found. */
async function requireCompiler() {
  const tools = process.platform === 'win32' ? ['python'] : ['c++', 'make', 'python3'];
  const missing = [];
  for (const tool of tools) if (!(await succeeds(tool, ['--version']))) missing.push(tool);
  if (missing.length === 0) return;
  throw new Failure(
    `better-sqlite3 must be compiled here, and ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing; install them (Debian: apt-get install build-essential python3; macOS: xcode-select --install; Windows: the "Desktop development with C++" of Visual Studio, and Python).`,
  );
}

async function build() {
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const { ok, output } = await run(process.execPath, [compiler, '-b'], {
    cwd: ROOT,
    guarded: true,
  });
  if (ok) return;
  console.error(output);
  throw new Failure('The build failed; the errors stand above.');
}

/** @param {(text: string) => void} say */
async function takeSetupLock(say) {
  const deadline = Date.now() + OTHER_SETUP_TIMEOUT_MS;
  for (let waiting = false; ; waiting = true) {
    const release = await takeLock(ROOT, 'setup');
    if (release) return release;
    if (Date.now() > deadline) throw new Failure('Another set-up of this checkout does not end.');
    if (!waiting) say('Waiting for another set-up of this checkout …');
    await sleep(OTHER_SETUP_POLL_MS);
  }
}

/** @param {string} path */
function readIfThere(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  endOnSignals();
  await runMain(() => setUp(console.error));
}
