import './node-version.mjs';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './checkout.mjs';
import { endOnSignals, run } from './command.mjs';
import { Failure, runMain } from './failure.mjs';
import { npmCommand } from './npm.mjs';
import { isOwnNode, linkOwnNode } from './own-node.mjs';
import { takeSetupLock } from './setup-lock.mjs';

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
  if (!npmInstalled(root, lock)) return false;
  writeFileSync(stampFile(root), current);
  return true;
}

/** @param {string} root */
function stampFile(root) {
  return join(root, 'node_modules', '.tidemark-setup');
}

/** Does not name Node, because the native modules fit every supported version. @param {string} lock */
function newStamp(lock) {
  return `lock ${createHash('sha256').update(lock).digest('hex')}\n`;
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
  const npm = npmCommand(['ci', '--include=dev', '--no-audit', '--no-fund']);
  const { ok, output } = await run(npm.command, npm.args, { cwd: ROOT, guarded: true });
  // The link was in what npm has replaced.
  if (isOwnNode(process.execPath)) linkOwnNode();
  if (!ok) {
    console.error(output);
    throw new Failure('The dependencies could not be installed; what `npm ci` said stands above.');
  }
  const lock = readFileSync(join(ROOT, 'package-lock.json'), 'utf8');
  writeFileSync(stampFile(ROOT), newStamp(lock));
}

async function build() {
  await runStep([join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']);
  // What the gateway serves to pages without a bundler.
  await runStep([join(ROOT, 'libs', 'client', 'bundle.mjs')]);
  // And the console, which it serves to operators.
  const vite = join(ROOT, 'node_modules', 'vite', 'bin', 'vite.js');
  await runStep([vite, 'build', join(ROOT, 'console'), '--logLevel', 'warn']);
}

/** @param {string[]} program */
async function runStep(program) {
  const { ok, output } = await run(process.execPath, program, { cwd: ROOT, guarded: true });
  if (ok) return;
  console.error(output);
  throw new Failure('The build failed; the errors stand above.');
}

/** @param {string} path */
function readIfThere(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  endOnSignals();
  await runMain(() => setUp(console.error));
}
