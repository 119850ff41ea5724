import '../../infra/launcher/node-version.mjs';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../infra/launcher/checkout.mjs';
import { endOnSignals, run } from '../../infra/launcher/command.mjs';
import { runMain } from '../../infra/launcher/failure.mjs';
import { setUp } from '../../infra/launcher/setup.mjs';
import { OLDEST_NATS_SERVER } from '../../libs/config/src/defaults.mjs';
import { provideCentrifugo } from './centrifugo.mjs';
import { asksForClients, provideClients } from './clients.mjs';
import { asksForDocuments, provideDocumentTools } from './documents.mjs';
import { provideJaeger } from './jaeger.mjs';
import { provideTestServers } from './nats-servers.mjs';
import {
  count,
  failedFiles,
  failures,
  format,
  lacking,
  NOTHING,
  readReport,
  sum,
  total,
} from './report.mjs';

/*
 * `npm test [-- <vitest's file filters and options>]` runs all tests against the newest nats-server,
 * and those that speak to NATS themselves against the oldest one that is supported. `--all` adds
 * what takes long: every integration test on the oldest server, and the images. It also adds the clients
 * that others wrote, which `--project clients` runs alone, and Schemathesis (`--project documents`). `--newest` leaves the oldest server out.
 * `--twice` runs a file with a failed test once more, alone; what passes then is told as unsteady at the end.
 */

/** The tests of what differs between versions of nats-server: its API, and how it fails. */
const NATS_TESTS = ['nats-', 'ordered-consumer', 'direct-publishers', 'gaps', 'replay-archive'];

/** Integration tests of programs that know no NATS, or that kill for minutes: once is enough. */
const ONCE = 'test/integration/{bench-peers,example,outbox,publisher-express}*';

const VITEST = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');

/** Most files that are run once more. More of them do not fail by chance. */
const AGAIN_MAX = 3;

/** A line for each test that failed, and for each that failed and passed alone. @type {string[]} */
const failed = [];
/** @type {string[]} */
const unsteady = [];

async function test() {
  const own = ['--all', '--newest', '--twice'];
  const [all, newestOnly, twice] = own.map((option) => process.argv.includes(option));
  if (all) process.env.ALL_TESTS = 'yes';
  const given = process.argv.slice(2).filter((arg) => !own.includes(arg));
  await setUp(console.log);
  const { newest, oldest } = await provideTestServers(process.env, console.log);

  await providePrograms(all === true);
  if (all || asksForClients(given)) {
    Object.assign(process.env, await provideClients(process.env, console.log));
  }
  if (all || asksForDocuments(given)) {
    Object.assign(process.env, await provideDocumentTools(process.env, console.log));
  }

  const folder = mkdtempSync(join(tmpdir(), 'tidemark-logged-'));
  endWith(folder);
  const kept = collectIn(folder);
  const runTests = twice ? vitestTwice : vitest;
  const runs = [await runTests(given, newest, kept)];
  const some =
    all || given.length > 0 ? given : NATS_TESTS.map((name) => `test/integration/${name}`);
  const again = ['--project', 'integration', '--passWithNoTests', '--exclude', ONCE, ...some];
  if (newestOnly) console.log('Nothing runs on the oldest nats-server.');
  else if (oldest) runs.push(await runTests(again, oldest, kept));
  else runs.push(await withoutOldest(again, newest));
  // Tests that were chosen by name need not have left what this one asks for.
  if (given.length === 0) {
    const complete = { ...kept, LOGS_COMPLETE: 'yes' };
    runs.push(await vitest(['--project', 'secrets'], newest, complete));
  }
  const counts = sum(runs);
  if (total(counts) === 0) console.error('tidemark: No test ran.');
  if (counts.failed > 0 || counts.passed === 0) process.exitCode = 1;
  // Last, where whoever has only the end of a log finds them.
  for (const line of unsteady) console.log(`unsteady: ${line}`);
  for (const line of failed) console.log(`failed: ${line}`);
  console.log(format(counts));
}

/**
 * Programs that some tests need. Without one these are skipped, and it is said.
 *
 * @param {boolean} all whether the tests that take long run too
 */
async function providePrograms(all) {
  const jaeger = await provideJaeger(process.env, console.log);
  if (jaeger) process.env.TIDEMARK_JAEGER_BIN = jaeger;
  else
    console.error('\ntidemark: There is no Jaeger and no Go to build one. Its tests are SKIPPED.');
  if (!all) return;
  const centrifugo = await provideCentrifugo(process.env, console.log);
  if (centrifugo) process.env.TIDEMARK_CENTRIFUGO_BIN = centrifugo;
  else console.error('\ntidemark: The test of the comparison with Centrifugo is SKIPPED.');
}

/**
 * @typedef {import('../../infra/launcher/nats-server.mjs').NatsServer} NatsServer
 * @typedef {import('./report.mjs').Counts & { files?: string[] }} Run `files`: those with a failed test
 */

/**
 * Runs tests, and once more, alone, the files of which one failed. A test may fail because the machine did
 * something else; one that also fails alone is wrong.
 *
 * @param {readonly string[]} args
 * @param {NatsServer} server
 * @param {Readonly<Record<string, string>>} env
 */
async function vitestTwice(args, server, env) {
  const linesBefore = failed.length;
  const { files = [], ...first } = await vitest(args, server, env);
  if (files.length === 0 || files.length > AGAIN_MAX) return first;
  const lines = failed.splice(linesBefore);
  console.log(`\nOnce more, alone: ${files.join(', ')}`);
  const second = await vitest(files, server, env);
  if (second.failed > 0 || second.passed === 0) return { ...first, failed: second.failed || 1 };
  unsteady.push(...lines);
  return { ...first, passed: first.passed + first.failed, failed: 0 };
}

/**
 * @param {readonly string[]} args
 * @param {NatsServer} server
 * @param {Readonly<Record<string, string>>} env
 * @returns {Promise<Run>}
 */
async function vitest(args, { path, version }, env) {
  console.log(`\nTests with nats-server ${version}`);
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-report-'));
  try {
    const file = join(folder, 'report.json');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const { ok } = await run(process.execPath, [VITEST, 'run', ...reporters, ...args], {
      cwd: ROOT,
      env: { ...process.env, ...env, TIDEMARK_NATS_SERVER_BIN: path },
      show: true,
      guarded: true,
    });
    const report = readReport(file);
    for (const [need, tests] of lacking(report)) {
      console.error(`tidemark: ${tests} tests are SKIPPED: they need ${need}.`);
    }
    const counts = count(report);
    failed.push(...failures(report).map((line) => `${line} (nats-server ${version})`));
    // Vitest may fail without a failed test: an error outside of tests, a wrong option.
    return ok || counts.failed > 0
      ? { ...counts, files: failedFiles(report) }
      : { ...counts, failed: 1 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Where tests write what services logged and which secrets they used, for the last test.
 *
 * @param {string} folder
 */
function collectIn(folder) {
  const kept = { LOGGED_FILE: join(folder, 'logged'), SECRETS_FILE: join(folder, 'secrets') };
  for (const file of Object.values(kept)) writeFileSync(file, '');
  return kept;
}

/** @param {string} folder removed with the end of the process */
function endWith(folder) {
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
}

/**
 * Says loudly what is not tested, and counts it as skipped.
 *
 * @param {readonly string[]} args
 * @param {import('../../infra/launcher/nats-server.mjs').NatsServer} server
 */
async function withoutOldest(args, server) {
  const { output } = await run(process.execPath, [VITEST, 'list', '--json', ...args], {
    cwd: ROOT,
    env: { ...process.env, TIDEMARK_NATS_SERVER_BIN: server.path },
  });
  const tests = output.match(/"name":/g)?.length ?? 0;
  console.error(
    `\ntidemark: There is no nats-server ${OLDEST_NATS_SERVER} here and no Go to build it. ${tests} integration tests are SKIPPED for it.`,
  );
  return { ...NOTHING, skipped: tests };
}

endOnSignals();
await runMain(test);
