import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { run, succeeds } from './command.mjs';
import { Failure } from './failure.mjs';
import { makeWritable } from './folders.mjs';
import { cacheFolder } from './nats-server.mjs';

/** The release whose module holds Jaeger v2 (its binary counts from 2, the module from 1). */
export const JAEGER_VERSION = '1.76.0';

const MODULE = 'github.com/jaegertracing/jaeger';
const EXECUTABLE = process.platform === 'win32' ? 'jaeger.exe' : 'jaeger';

/**
 * Finds a Jaeger: the configured one, one on the PATH, or one that was built before. Jaeger is a
 * convenience of `npm start`, which therefore builds none.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @returns {Promise<string | undefined>} its path
 */
export async function findJaeger(environment) {
  const configured = environment.TIDEMARK_JAEGER_BIN;
  if (configured) {
    if (await isJaeger(configured)) return configured;
    throw new Failure(`TIDEMARK_JAEGER_BIN=${configured} is no Jaeger v2 that runs here.`);
  }
  const folders = (environment.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const path of [...folders.map((folder) => join(folder, EXECUTABLE)), cached(environment)]) {
    if (existsSync(path) && (await isJaeger(path))) return path;
  }
  return undefined;
}

/**
 * Finds a Jaeger for the tests, or builds one with Go where there is Go.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @param {(text: string) => void} say
 */
export async function provideJaeger(environment, say) {
  return (await findJaeger(environment)) ?? (await buildJaeger(environment, say));
}

/** @param {string} path */
async function isJaeger(path) {
  const { ok, output } = await run(path, ['version']);
  return ok && /gitCommit|version/i.test(output);
}

/** @param {NodeJS.ProcessEnv} environment */
function cached(environment) {
  return join(dirname(cacheFolder(environment)), 'jaeger', JAEGER_VERSION, EXECUTABLE);
}

/**
 * Builds in a copy of the module, as its own main module: only so do its `replace` lines and its
 * own list of checksums count, and `go install` refuses a module that has such lines.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @param {(text: string) => void} say
 */
async function buildJaeger(environment, say) {
  if (!(await succeeds('go', ['version'], { env: environment }))) return undefined;
  const place = cached(environment);
  makeWritable(dirname(place), 'set XDG_CACHE_HOME to another, or TIDEMARK_JAEGER_BIN');
  say(`Building Jaeger ${JAEGER_VERSION} with Go, once for this user (three to ten minutes) …`);
  const env = { ...environment, CGO_ENABLED: '0' };
  const work = mkdtempSync(join(dirname(place), '.work-'));
  try {
    const module = `${MODULE}@v${JAEGER_VERSION}`;
    const download = await run('go', ['mod', 'download', '-json', module], { env, guarded: true });
    const folder = /"Dir": "(.+)"/.exec(download.output)?.[1];
    if (!download.ok || !folder) return complain(say, download.output);
    const source = join(work, 'source');
    cpSync(folder, source, { recursive: true });
    chmodSync(source, 0o755);
    const made = join(work, EXECUTABLE);
    const flags = ['-trimpath', '-ldflags=-s -w', '-o', made];
    const built = await run('go', ['build', ...flags, './cmd/jaeger'], {
      cwd: source,
      env,
      guarded: true,
    });
    if (!built.ok) return complain(say, built.output);
    mkdirSync(dirname(place), { recursive: true });
    const aside = join(dirname(place), `.${process.pid}-${EXECUTABLE}`);
    copyFileSync(made, aside);
    renameSync(aside, place);
    return place;
  } finally {
    await run('chmod', ['-R', 'u+w', work]);
    rmSync(work, { recursive: true, force: true });
  }
}

/** @param {(text: string) => void} say @param {string} output */
function complain(say, output) {
  say(`Go could not build Jaeger: ${output.trim().split('\n').at(-1)}`);
  return undefined;
}
