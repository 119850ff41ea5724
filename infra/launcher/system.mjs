import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { NODE_ARGUMENTS } from '../../libs/config/src/defaults.mjs';
import { ROOT } from './checkout.mjs';
import { Failure } from './failure.mjs';
import { prefixed, readable } from './log-lines.mjs';
import { createNatsUsers } from './nats-users.mjs';
import { secretFile } from './secret.mjs';
import { portVariable, reachableHost, SERVICES } from './settings.mjs';
import { SupervisedProcess } from './supervised-process.mjs';

const READY_TIMEOUT_MS = 60_000;
const READY_POLL_MS = 100;

/** How long all parts together may take to end, and how much of it each later part keeps. */
const STOP_MS = 10_000;
const STOP_RESERVE_MS = 1500;

/** Connections end first, then the services behind them, then NATS, which all of them need. */
const STOP_ORDER = ['gateway', 'ingest', 'replay', 'nats', 'jaeger'];

const LAUNCHER = join(ROOT, 'infra', 'launcher');

/**
 * @typedef {object} SystemOptions
 * @property {NodeJS.ProcessEnv} environment
 * @property {string} folder for the data
 * @property {Record<string, number>} ports
 * @property {string | undefined} natsServer path; `undefined`: NATS runs elsewhere
 * @property {string} [jaeger] path; where absent none is run
 */

/** The processes of one `npm start`. */
export class System {
  /** @type {SystemOptions} */
  #options;
  #natsUsers = createNatsUsers();
  /** @type {SupervisedProcess[]} in the order of their start */
  #processes;
  /** @type {(failure: Failure) => void} */
  #failStart = () => {};

  /** @param {SystemOptions} options */
  constructor(options) {
    this.#options = options;
    const { natsServer, jaeger } = options;
    this.#processes = SERVICES.map((name) => this.#service(name));
    if (natsServer !== undefined) this.#processes.unshift(this.#nats(natsServer));
    if (jaeger !== undefined) this.#processes.unshift(this.#jaeger(jaeger));
  }

  /** Starts everything and waits until it is ready. @throws Failure when a part ends before */
  async start() {
    const failed = new Promise((_, reject) => {
      this.#failStart = reject;
    });
    for (const process of this.#processes) process.start();
    await Promise.race([failed, this.#ready()]);
    for (const process of this.#processes) process.keepAlive();
  }

  /** Ends everything in order. */
  async stop() {
    const deadlineMs = Date.now() + STOP_MS;
    for (const [index, name] of STOP_ORDER.entries()) {
      const process = this.#processes.find((candidate) => candidate.name === name);
      const reserveMs = (STOP_ORDER.length - 1 - index) * STOP_RESERVE_MS;
      const graceMs = deadlineMs - reserveMs - Date.now();
      if (!process || (await process.stop(graceMs))) continue;
      say(`${name} did not end in time and was killed`);
    }
  }

  /** @param {string} binary */
  #nats(binary) {
    const { folder, ports, environment } = this.#options;
    const config = join(ROOT, 'infra', 'nats', 'embedded.conf');
    return this.#process({
      name: 'nats',
      args: [
        join(LAUNCHER, 'guard.mjs'),
        binary,
        ...['-c', config, '-a', '127.0.0.1', '-p', String(ports.nats)],
        ...['-sd', join(folder, 'nats')],
      ],
      env: { ...environment, ...this.#natsUsers.server },
    });
  }

  /** @param {string} binary */
  #jaeger(binary) {
    const { ports, environment } = this.#options;
    const config = join(ROOT, 'infra', 'jaeger', 'jaeger.yaml');
    return this.#process({
      name: 'jaeger',
      args: [join(LAUNCHER, 'guard.mjs'), binary, '--config', config],
      env: {
        ...environment,
        JAEGER_QUERY_PORT: String(ports.jaeger),
        JAEGER_GRPC_PORT: String(ports.jaegerGrpc),
        JAEGER_OTLP_PORT: String(ports.otlp),
      },
    });
  }

  /** @param {import('./settings.mjs').ServiceName} name */
  #service(name) {
    const { environment, folder, ports, jaeger, natsServer } = this.#options;
    const hasSecret = environment.TIDEMARK_TOKEN_SECRET || environment.TIDEMARK_TOKEN_SECRET_FILE;
    return this.#process({
      name,
      args: [
        ...NODE_ARGUMENTS,
        '--import',
        new URL('parent-watch.mjs', import.meta.url).href,
        join(ROOT, 'services', name, 'dist', 'main.js'),
      ],
      env: {
        NATS_URL: `nats://127.0.0.1:${ports.nats}`,
        TIDEMARK_REPLAY_DATABASE: join(folder, 'archive.db'),
        ...(jaeger && {
          OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${ports.otlp}`,
          // A user who sends a sample request looks at its trace at once.
          OTEL_BSP_SCHEDULE_DELAY: '200',
        }),
        ...environment,
        ...(natsServer !== undefined && this.#natsUsers.of(name)),
        ...(hasSecret ? {} : { TIDEMARK_TOKEN_SECRET_FILE: secretFile(folder) }),
        [portVariable(name)]: String(ports[name]),
      },
    });
  }

  /** @param {{ name: string, args: readonly string[], env: NodeJS.ProcessEnv }} options */
  #process({ name, args, env }) {
    return new SupervisedProcess({
      name,
      command: process.execPath,
      args,
      env,
      cwd: ROOT,
      onLine(text) {
        const line = readable(name, text);
        if (line !== undefined) console.log(line);
      },
      onDeath: ({ reason, restartMs }) => {
        if (restartMs === undefined) {
          this.#failStart(new Failure(`${name} ended during its start (${reason}).`));
        } else {
          say(`${name} ended (${reason}) and starts again in ${restartMs / 1000} s`);
        }
      },
    });
  }

  async #ready() {
    const { environment, ports } = this.#options;
    const deadlineMs = Date.now() + READY_TIMEOUT_MS;
    for (const name of SERVICES) {
      const url = `http://${reachableHost(environment)}:${ports[name]}/readyz`;
      while (!(await answersOk(url))) {
        if (Date.now() > deadlineMs) {
          throw new Failure(`${name} is not ready after ${READY_TIMEOUT_MS / 1000} s.`);
        }
        await sleep(READY_POLL_MS);
      }
    }
  }
}

/** Prints a line of the launcher, formatted like the others. @param {string} text */
export function say(text) {
  console.log(prefixed('tidemark', new Date(), text));
}

/** @param {string} url */
async function answersOk(url) {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(READY_POLL_MS * 20) });
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    return false;
  }
}
