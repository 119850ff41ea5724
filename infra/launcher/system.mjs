import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { NODE_ARGUMENTS } from '../../libs/config/src/defaults.mjs';
import { ROOT } from './checkout.mjs';
import { Failure } from './failure.mjs';
import { prefixed, readable } from './log-lines.mjs';
import { secretFile } from './secret.mjs';
import { portVariable, reachableHost } from './settings.mjs';
import { SupervisedProcess } from './supervised-process.mjs';

const READY_TIMEOUT_MS = 60_000;
const READY_POLL_MS = 100;

/** How long all parts together may take to end, and how much of it each later part keeps. */
const STOP_MS = 10_000;
const STOP_RESERVE_MS = 1500;

/** Connections end first, then the services behind them, then NATS, which all of them need. */
const STOP_ORDER = /** @type {const} */ ([
  'nginx',
  'gateway',
  'ingest',
  'replay',
  'nats',
  'jaeger',
]);

const LAUNCHER = join(ROOT, 'infra', 'launcher');

/**
 * @typedef {object} ProcessPlan
 * @property {string} name
 * @property {(typeof STOP_ORDER)[number]} part what it is an instance of
 * @property {readonly string[]} args of Node
 * @property {NodeJS.ProcessEnv} env
 * @property {string} [readyUrl] answers 200 once the process is ready; where absent nobody waits for it
 */

/**
 * @typedef {object} ServicePlan
 * @property {NodeJS.ProcessEnv} environment
 * @property {string} folder for the data
 * @property {number} port
 * @property {string} [name] the service's where absent
 * @property {NodeJS.ProcessEnv} defaults what the environment may overrule
 * @property {NodeJS.ProcessEnv} [fixed] what it may not overrule
 */

/**
 * Plans a service.
 *
 * @param {import('./settings.mjs').ServiceName} service
 * @param {ServicePlan} plan
 * @returns {ProcessPlan}
 */
export function servicePlan(service, { environment, folder, port, name, defaults, fixed }) {
  const hasSecret = environment.TIDEMARK_TOKEN_SECRET || environment.TIDEMARK_TOKEN_SECRET_FILE;
  return {
    name: name ?? service,
    part: service,
    args: [
      ...NODE_ARGUMENTS,
      '--import',
      new URL('parent-watch.mjs', import.meta.url).href,
      join(ROOT, 'services', service, 'dist', 'main.js'),
    ],
    env: {
      ...defaults,
      ...environment,
      ...fixed,
      ...(hasSecret ? {} : { TIDEMARK_TOKEN_SECRET_FILE: secretFile(folder) }),
      [portVariable(service)]: String(port),
    },
    readyUrl: `http://${reachableHost(environment)}:${port}/readyz`,
  };
}

/**
 * Plans a program that does not notice by itself that the launcher has ended.
 *
 * @param {Pick<ProcessPlan, 'name' | 'part' | 'env' | 'readyUrl'>} plan
 * @param {readonly string[]} command the program and its arguments
 * @returns {ProcessPlan}
 */
export function guardedPlan(plan, command) {
  return { ...plan, args: [join(LAUNCHER, 'guard.mjs'), ...command] };
}

/** The processes of one `npm start`. */
export class System {
  /** In the order of their start. @type {readonly ProcessPlan[]} */
  #plans;
  /** @type {Map<ProcessPlan, SupervisedProcess>} */
  #processes = new Map();
  /** @type {(failure: Failure) => void} */
  #failStart = () => {};

  /** @param {readonly ProcessPlan[]} plans */
  constructor(plans) {
    this.#plans = plans;
    for (const plan of plans) this.#processes.set(plan, this.#process(plan));
  }

  /** The process ids of what runs, by name. @returns {[name: string, pid: number][]} */
  get pids() {
    return [...this.#processes.values()].flatMap(({ name, pid }) =>
      pid === undefined ? [] : /** @type {[string, number][]} */ ([[name, pid]]),
    );
  }

  /** Starts everything and waits until it is ready. @throws Failure when a part ends before */
  async start() {
    const failed = new Promise((_, reject) => {
      this.#failStart = reject;
    });
    for (const process of this.#processes.values()) process.start();
    await Promise.race([failed, this.#ready()]);
    for (const process of this.#processes.values()) process.keepAlive();
  }

  /** Ends everything in order; the instances of one part at the same time. */
  async stop() {
    const deadlineMs = Date.now() + STOP_MS;
    for (const [index, part] of STOP_ORDER.entries()) {
      const reserveMs = (STOP_ORDER.length - 1 - index) * STOP_RESERVE_MS;
      const graceMs = deadlineMs - reserveMs - Date.now();
      const plans = this.#plans.filter((plan) => plan.part === part);
      await Promise.all(
        plans.map(async (plan) => {
          if (await this.#processes.get(plan)?.stop(graceMs)) return;
          say(`${plan.name} did not end in time and was killed`);
        }),
      );
    }
  }

  /** @param {ProcessPlan} plan */
  #process({ name, part, args, env }) {
    return new SupervisedProcess({
      name,
      command: process.execPath,
      args,
      env,
      cwd: ROOT,
      onLine(text) {
        const line = readable(name, text, part);
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
    const deadlineMs = Date.now() + READY_TIMEOUT_MS;
    for (const { name, readyUrl } of this.#plans) {
      while (readyUrl !== undefined && !(await answersOk(readyUrl))) {
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
