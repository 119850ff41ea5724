import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { ROOT } from '../../infra/launcher/checkout.mjs';
import { endCommands } from '../../infra/launcher/command.mjs';
import { Failure, runMain } from '../../infra/launcher/failure.mjs';
import { makePrivate } from '../../infra/launcher/folders.mjs';
import { readable } from '../../infra/launcher/log-lines.mjs';
import { watchNpm } from '../../infra/launcher/npm-watch.mjs';
import { freePorts } from '../../infra/launcher/ports.mjs';
import { dataFolder } from '../../infra/launcher/settings.mjs';
import { SupervisedProcess } from '../../infra/launcher/supervised-process.mjs';
import { NODE_ARGUMENTS } from '../../libs/config/src/defaults.mjs';
import { readSettings } from '../settings.mjs';
import { findPostgresql, placeIn, preparePostgresql, untilAnswers } from './private-postgresql.mjs';
import { welcome } from './welcome.mjs';

/*
 * `npm run example:order-service`: the order service with its database and a relay, against what `npm start` runs. It
 * starts a PostgreSQL of its own where one is installed, and takes SQLite otherwise, or with `-- --sqlite`.
 */

const LAUNCHER = join(ROOT, 'infra', 'launcher');
const LOOPBACK = '127.0.0.1';
const READY_MS = 30_000;
const POLL_MS = 100;
const STOP_MS = 5_000;

/** What runs, in the order of its start. @type {SupervisedProcess[]} */
const running = [];

async function main() {
  const { port, sqlite } = readArguments();
  const ports = await freePorts([
    { name: 'orders', variable: '--port', port, host: LOOPBACK },
    { name: 'relay', variable: 'TIDEMARK_RELAY_PORT', port: 0, host: LOOPBACK },
  ]);
  const settings = await readSettings('publish:orders.> history:orders.>', 'order-service');
  const folder = join(dataFolder(process.env), 'example-order-service');
  makePrivate(folder, 'set TIDEMARK_DATA to another');
  const database = await startDatabase(folder, sqlite);
  const tokenFile = join(folder, 'relay-token');
  writeFileSync(tokenFile, settings.token, { mode: 0o600 });
  const url = `http://${LOOPBACK}:${ports.orders}`;
  // The service makes the tables, which the relay then finds.
  const service = join(import.meta.dirname, 'service.mjs');
  start('orders', [service], { DATABASE_URL: database, PORT: String(ports.orders) });
  await untilListening(url);
  start('relay', [...NODE_ARGUMENTS, join(ROOT, 'services', 'relay', 'dist', 'main.js')], {
    TIDEMARK_RELAY_DATABASE_URL: database,
    TIDEMARK_RELAY_INGEST_URL: settings.ingest,
    TIDEMARK_RELAY_REPLAY_URL: settings.replay,
    TIDEMARK_RELAY_GATEWAY_URL: settings.gateway,
    TIDEMARK_RELAY_TOKEN_FILE: tokenFile,
    TIDEMARK_RELAY_PORT: String(ports.relay),
  });
  for (const process of running) process.keepAlive();
  const isAway = !(await answers(`${settings.ingest}/healthz`));
  console.log(welcome({ url, database, gateway: settings.gateway, isAway }));
}

/** @param {string} folder @param {boolean} sqlite @returns {Promise<string>} its URL */
async function startDatabase(folder, sqlite) {
  const programs = sqlite ? undefined : findPostgresql(process.env);
  if (programs === undefined) return `sqlite:${join(folder, 'orders.db')}`;
  const { port = 0 } = await freePorts([{ name: 'port', variable: '', port: 0, host: LOOPBACK }]);
  const { command, url } = await preparePostgresql(programs, placeIn(folder), port);
  start('postgres', [join(LAUNCHER, 'guard.mjs'), ...command], {});
  await untilAnswers(url);
  return url;
}

/** Starts a process of Node, which ends with this one. @param {string} name @param {readonly string[]} args @param {NodeJS.ProcessEnv} env */
function start(name, args, env) {
  const watch = pathToFileURL(join(LAUNCHER, 'parent-watch.mjs')).href;
  const started = new SupervisedProcess({
    name,
    command: process.execPath,
    args: ['--import', watch, ...args],
    env: { ...process.env, ...env },
    cwd: ROOT,
    onLine: (line) => console.log(readable(name, line)),
    onDeath({ reason, restartMs }) {
      if (restartMs === undefined) end(1, `${name} ended during its start (${reason}).`);
      else console.log(`${name} ended (${reason}) and starts again in ${restartMs / 1000} s`);
    },
  });
  running.push(started);
  started.start();
}

/** Ends what runs, the last one first. @param {number} code @param {string} [reason] */
async function end(code, reason) {
  if (reason !== undefined) console.log(reason);
  await endCommands();
  for (const process of running.splice(0).reverse()) await process.stop(STOP_MS);
  process.exit(code);
}

/** @param {string} url @throws Failure */
async function untilListening(url) {
  for (let waited = 0; waited < READY_MS; waited += POLL_MS) {
    if (await answers(url)) return;
    await sleep(POLL_MS);
  }
  throw new Failure(`The order service does not answer after ${READY_MS / 1000} s.`);
}

/** @param {string} url */
async function answers(url) {
  const answer = await fetch(url).catch(() => undefined);
  await answer?.body?.cancel();
  return answer !== undefined;
}

/** @returns {{ port: number, sqlite: boolean }} */
function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: 'string', default: '8095' },
        sqlite: { type: 'boolean', default: false },
      },
    });
    const port = Number(values.port);
    if (/^\d+$/.test(values.port) && port <= 65_535) return { port, sqlite: values.sqlite };
    throw new Failure(`--port ${values.port} is no port.`);
  } catch (error) {
    throw new Failure(error instanceof Error ? error.message : String(error));
  }
}

process.once('SIGINT', () => end(0, 'Stopping (Ctrl-C) …'));
process.once('SIGTERM', () => end(0, 'Stopping (SIGTERM) …'));
watchNpm(() => end(0, 'Stopping (npm is gone) …'));

await runMain(main);
if (process.exitCode) await end(1);
