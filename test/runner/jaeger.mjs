import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { run, succeeds } from '../../infra/launcher/command.mjs';
import { makeWritable } from '../../infra/launcher/folders.mjs';
import { cachedJaeger, findJaeger, JAEGER_VERSION } from '../../infra/launcher/jaeger.mjs';

const MODULE = 'github.com/jaegertracing/jaeger';

/**
 * Finds a Jaeger for the tests, or builds one with Go.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @param {(text: string) => void} say
 * @returns {Promise<string | undefined>} its path; `undefined`: there is neither a Jaeger nor Go
 */
export async function provideJaeger(environment, say) {
  return (await findJaeger(environment)) ?? (await buildJaeger(environment, say));
}

/**
 * Builds in a copy of the module, as its own main module. Only there do its `replace` lines and its
 * own checksums count, and `go install` refuses a module that has such lines.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @param {(text: string) => void} say
 */
async function buildJaeger(environment, say) {
  if (!(await succeeds('go', ['version'], { env: environment }))) return undefined;
  const place = cachedJaeger(environment);
  makeWritable(dirname(place), 'set XDG_CACHE_HOME to another, or TIDEMARK_JAEGER_BIN');
  say(`Building Jaeger ${JAEGER_VERSION} with Go, once for this user (three to ten minutes) …`);
  const env = { ...environment, CGO_ENABLED: '0' };
  const work = mkdtempSync(join(dirname(place), '.work-'));
  try {
    const module = `${MODULE}@v${JAEGER_VERSION}`;
    const download = await run('go', ['mod', 'download', '-json', module], { env, guarded: true });
    // A JSON string, because JSON doubles the separators of a Windows path.
    const folder = /"Dir": (".+")/.exec(download.output)?.[1];
    if (!download.ok || !folder) return complain(say, download.output);
    const source = join(work, 'source');
    cpSync(JSON.parse(folder), source, { recursive: true });
    chmodSync(source, 0o755);
    const made = join(work, basename(place));
    const flags = ['-trimpath', '-ldflags=-s -w', '-o', made];
    const built = await run('go', ['build', ...flags, './cmd/jaeger'], {
      cwd: source,
      env,
      guarded: true,
    });
    if (!built.ok) return complain(say, built.output);
    mkdirSync(dirname(place), { recursive: true });
    const aside = join(dirname(place), `.${process.pid}-${basename(place)}`);
    copyFileSync(made, aside);
    renameSync(aside, place);
    return place;
  } finally {
    makeDeletable(work);
    rmSync(work, { recursive: true, force: true });
  }
}

/** Go makes its folders read-only, and their copies are read-only too. @param {string} folder */
function makeDeletable(folder) {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) makeDeletable(join(folder, entry.name));
  }
}

/** @param {(text: string) => void} say @param {string} output */
function complain(say, output) {
  say(`Go could not build Jaeger: ${output.trim().split('\n').at(-1)}`);
  return undefined;
}
