import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cacheFolder, NEWEST, probe, provideNatsServer } from './nats-server.mjs';

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
  ).rejects.toThrow(`TIDEMARK_NATS_SERVER_BIN=${process.execPath} is no nats-server`);
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

test('nats-server: in the cache only: taken from there', async () => {
  const place = join(cacheFolder(environment), NEWEST);
  mkdirSync(place, { recursive: true });
  copyFileSync(REAL, join(place, 'nats-server'));
  const server = await provideNatsServer(environment, silent);
  expect(server.path).toBe(join(place, 'nats-server'));
});

test('nats-server: nowhere, and nothing to make it with: the commands for each system', async () => {
  await expect(provideNatsServer(environment, silent)).rejects.toThrow(
    /apt-get install nats-server.*brew install nats-server.*choco install nats-server/s,
  );
});
