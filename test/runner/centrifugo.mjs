import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { run, succeeds } from '../../infra/launcher/command.mjs';
import { Failure } from '../../infra/launcher/failure.mjs';
import { makeWritable } from '../../infra/launcher/folders.mjs';
import { cacheFolder } from '../../infra/launcher/nats-server.mjs';

const MODULE = 'github.com/centrifugal/centrifugo/v6';

/** The version that the benchmarks build, and compare with. */
export const CENTRIFUGO_VERSION = '6.9.1';

const EXECUTABLE = process.platform === 'win32' ? 'centrifugo.exe' : 'centrifugo';

/**
 * Finds a Centrifugo: the configured one, one on the PATH, or one that was built before.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @returns {Promise<string | undefined>} its path
 */
export async function findCentrifugo(environment) {
  const configured = environment.TIDEMARK_CENTRIFUGO_BIN;
  if (configured) {
    if (await isCentrifugo(configured)) return configured;
    throw new Failure(
      `TIDEMARK_CENTRIFUGO_BIN=${configured} is not a Centrifugo 6 that runs here.`,
    );
  }
  const folders = (environment.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const onPath = folders.map((folder) => join(folder, EXECUTABLE));
  for (const path of [...onPath, cachedCentrifugo(environment)]) {
    if (existsSync(path) && (await isCentrifugo(path))) return path;
  }
  return undefined;
}

/**
 * Finds a Centrifugo for the benchmarks, or builds one with Go from its module.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @param {(text: string) => void} say
 * @returns {Promise<string | undefined>} its path; `undefined`: there is none, and it was said why
 */
export async function provideCentrifugo(environment, say) {
  return (await findCentrifugo(environment)) ?? (await buildCentrifugo(environment, say));
}

/** @param {NodeJS.ProcessEnv} environment */
function cachedCentrifugo(environment) {
  const cache = join(dirname(cacheFolder(environment)), 'centrifugo');
  return join(cache, CENTRIFUGO_VERSION, EXECUTABLE);
}

/** @param {NodeJS.ProcessEnv} environment @param {(text: string) => void} say */
async function buildCentrifugo(environment, say) {
  if (!(await succeeds('go', ['version'], { env: environment }))) {
    say('There is no Centrifugo, and no Go to build one with. TIDEMARK_CENTRIFUGO_BIN names one.');
    return undefined;
  }
  const place = cachedCentrifugo(environment);
  makeWritable(dirname(place), 'set XDG_CACHE_HOME to another, or TIDEMARK_CENTRIFUGO_BIN');
  say(
    `Building Centrifugo ${CENTRIFUGO_VERSION} with Go, once for this user (two to ten minutes) …`,
  );
  const work = mkdtempSync(join(dirname(place), '.work-'));
  try {
    // Without its version it says that it is 0.0.0.
    const version = `-X ${MODULE}/internal/build.Version=${CENTRIFUGO_VERSION}`;
    const flags = ['-trimpath', `-ldflags=-s -w ${version}`];
    const args = ['install', ...flags, `${MODULE}@v${CENTRIFUGO_VERSION}`];
    const env = { ...environment, GOBIN: work, CGO_ENABLED: '0' };
    const { ok, output } = await run('go', args, { env, guarded: true });
    if (!ok) {
      say(`Go could not build Centrifugo: ${output.trim().split('\n').at(-1)}`);
      return undefined;
    }
    mkdirSync(dirname(place), { recursive: true });
    const aside = join(dirname(place), `.${process.pid}-${basename(place)}`);
    copyFileSync(join(work, EXECUTABLE), aside);
    renameSync(aside, place);
    return place;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** @param {string} path */
async function isCentrifugo(path) {
  const { ok, output } = await run(path, ['version']);
  return ok && /Centrifugo v?6\./i.test(output);
}
