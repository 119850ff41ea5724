import './node-version.mjs';
import { clusterPorts, hasNginx, planCluster } from './cluster.mjs';
import { endCommands } from './command.mjs';
import { Failure, runMain } from './failure.mjs';
import { makePrivate } from './folders.mjs';
import { findJaeger } from './jaeger.mjs';
import { takeLock } from './lock.mjs';
import { provideNatsServer } from './nats-server.mjs';
import { watchNpm } from './npm-watch.mjs';
import { freePorts } from './ports.mjs';
import { createSecret } from './secret.mjs';
import { clusterFolder, dataFolder, jaegerPorts, wantedPorts } from './settings.mjs';
import { setUp } from './setup.mjs';
import { planSingle } from './single.mjs';
import { System, say } from './system.mjs';
import { welcome, welcomeCluster } from './welcome.mjs';

/*
 * `npm start` runs the whole system on this machine, also from a fresh checkout. With `--cluster` three
 * nats-servers and two of each service run, as `npm run start:cluster`.
 */

const IS_CLUSTER = process.argv.includes('--cluster');

/** @type {System | undefined} */
let system;

async function start() {
  const environment = process.env;
  const folder = IS_CLUSTER ? clusterFolder(environment) : dataFolder(environment);
  makePrivate(folder, 'change its permissions, or set TIDEMARK_DATA to another');
  if (!(await takeLock(folder, 'start'))) {
    throw new Failure(
      `Tidemark already runs on ${folder}; stop it, or set TIDEMARK_DATA and other ports.`,
    );
  }
  await (IS_CLUSTER ? startCluster(environment, folder) : startSingle(environment, folder));
}

/** @param {NodeJS.ProcessEnv} environment @param {string} folder */
async function startSingle(environment, folder) {
  // Traces go where the environment says, otherwise to a Jaeger that this starts.
  const jaeger = environment.OTEL_EXPORTER_OTLP_ENDPOINT
    ? undefined
    : await findJaeger(environment);
  // Checked before the set-up, which takes a while, so that a taken port is reported at once.
  const ports = await freePorts([
    ...wantedPorts(environment),
    ...(jaeger ? await jaegerPorts(environment) : []),
  ]);
  await setUp(say);
  const natsServer = environment.NATS_URL ? undefined : await provideNatsServer(environment, say);
  createSecret(folder);
  const plans = planSingle({
    environment,
    folder,
    ports,
    natsServer: natsServer?.path,
    ...(jaeger && { jaeger }),
  });
  await run(plans, natsServer ? `Starting with nats-server ${natsServer.version} …` : 'Starting …');
  console.log(await welcome({ environment, folder, ports }));
}

/** @param {NodeJS.ProcessEnv} environment @param {string} folder */
async function startCluster(environment, folder) {
  const ports = await freePorts(clusterPorts(environment));
  await setUp(say);
  const { path, version } = await provideNatsServer(environment, say);
  createSecret(folder);
  const nginx = await hasNginx();
  const plans = planCluster({ environment, folder, ports, natsServer: path, nginx });
  const running = await run(plans, `Starting three nats-servers ${version} …`);
  console.log(await welcomeCluster({ environment, folder, ports, nginx, pids: running.pids }));
}

/** @param {readonly import('./system.mjs').ProcessPlan[]} plans @param {string} what */
async function run(plans, what) {
  const started = new System(plans);
  system = started;
  say(what);
  try {
    await started.start();
  } catch (error) {
    await started.stop();
    throw error;
  }
  return started;
}

/** Later signals change nothing, because the stop has a time limit. */
let stopping = false;

/** @param {string} reason */
async function stop(reason) {
  if (stopping) return;
  stopping = true;
  say(`Stopping (${reason}) …`);
  await endCommands();
  await system?.stop();
  process.exit(0);
}

process.on('SIGINT', () => stop('Ctrl-C'));
process.on('SIGTERM', () => stop('SIGTERM'));
process.on('SIGHUP', () => stop('the terminal is gone'));

watchNpm(() => stop('npm is gone'));

await runMain(start);
// A failure ends the process even if something still waits.
if (process.exitCode) process.exit();
