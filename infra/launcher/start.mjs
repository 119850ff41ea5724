import './node-version.mjs';
import { endCommands } from './command.mjs';
import { Failure, runMain } from './failure.mjs';
import { makeWritable } from './folders.mjs';
import { findJaeger } from './jaeger.mjs';
import { takeLock } from './lock.mjs';
import { provideNatsServer } from './nats-server.mjs';
import { watchNpm } from './npm-watch.mjs';
import { freePorts } from './ports.mjs';
import { createSecret } from './secret.mjs';
import { dataFolder, jaegerPorts, wantedPorts } from './settings.mjs';
import { setUp } from './setup.mjs';
import { System, say } from './system.mjs';
import { welcome } from './welcome.mjs';

/* `npm start` runs the whole system on this machine, also from a fresh checkout. */

/** @type {System | undefined} */
let system;

async function start() {
  const environment = process.env;
  const folder = dataFolder(environment);
  makeWritable(folder, 'change its permissions, or set TIDEMARK_DATA to another');
  if (!(await takeLock(folder, 'start'))) {
    throw new Failure(
      `Tidemark already runs on ${folder}; stop it, or set TIDEMARK_DATA and other ports.`,
    );
  }
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

  system = new System({
    environment,
    folder,
    ports,
    natsServer: natsServer?.path,
    ...(jaeger && { jaeger }),
  });
  say(natsServer ? `Starting with nats-server ${natsServer.version} …` : 'Starting …');
  try {
    await system.start();
  } catch (error) {
    await system.stop();
    throw error;
  }
  console.log(await welcome({ environment, folder, ports }));
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
