import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const RESTART_DELAY_MS = 1000;
const RESTART_DELAY_MS_MAX = 30_000;

/** After this time a process counts as healthy, and its next restart is quick again. */
const WELL_AFTER_MS = 60_000;

/**
 * @typedef {object} ProcessOptions
 * @property {string} name
 * @property {string} command
 * @property {readonly string[]} args
 * @property {NodeJS.ProcessEnv} env
 * @property {string} cwd
 * @property {(line: string) => void} onLine called with each line that it writes
 * @property {(death: Death) => void} onDeath called at each end that `stop` did not cause
 */

/**
 * @typedef {object} Death
 * @property {string} reason such as `code 1` or `SIGKILL`
 * @property {number} [restartMs] when it starts again; `undefined`: it does not
 */

/** @param {number} deaths one after another, at least 1 */
export function restartDelayMs(deaths) {
  return Math.min(RESTART_DELAY_MS * 2 ** (deaths - 1), RESTART_DELAY_MS_MAX);
}

/**
 * A child process, restarted with a growing delay when it dies.
 *
 *     idle --start--> running --death--> waiting --delay--> running
 *     running --death before keepAlive--> idle
 *     running or waiting --stop--> idle
 */
export class SupervisedProcess {
  /** @type {ProcessOptions} */
  #options;
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child;
  /** @type {NodeJS.Timeout | undefined} */
  #restart;
  /** The process id of the program that a guard runs. @type {number | undefined} */
  #guardedPid;
  #keptAlive = false;
  #stopping = false;
  #deaths = 0;

  /** @param {ProcessOptions} options */
  constructor(options) {
    this.#options = options;
  }

  get name() {
    return this.#options.name;
  }

  /** Of the program itself, not of its guard; `undefined` while it does not run. */
  get pid() {
    return this.#child && (this.#guardedPid ?? this.#child.pid);
  }

  start() {
    const { command, args, env, cwd, onLine } = this.#options;
    const startedAtMs = Date.now();
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // In its own group, so that Ctrl-C reaches only the launcher, which stops the parts in order.
      detached: true,
      windowsHide: true,
    });
    this.#child = child;
    child.on('message', (message) => {
      this.#guardedPid = /** @type {{ pid?: number }} */ (message).pid;
    });
    for (const output of [child.stdout, child.stderr]) {
      if (output) createInterface({ input: output }).on('line', onLine);
    }
    /** @param {string} reason */
    const ended = (reason) => {
      if (this.#child !== child) return;
      this.#child = undefined;
      if (Date.now() - startedAtMs >= WELL_AFTER_MS) this.#deaths = 0;
      this.#ended(reason);
    };
    child.once('error', (error) => ended(error.message));
    child.once('exit', (code, signal) => ended(signal ?? `code ${code}`));
  }

  /** From now on a death is followed by a restart. */
  keepAlive() {
    this.#keptAlive = true;
  }

  /**
   * Ends it: SIGTERM (on Windows the end of its channel), and SIGKILL after the grace.
   *
   * @param {number} graceMs
   * @returns {Promise<boolean>} whether it ended by itself
   */
  async stop(graceMs) {
    this.#stopping = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (!child) return true;
    let inTime = true;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const timer = setTimeout(() => {
      inTime = false;
      this.#killGuarded();
      child.kill('SIGKILL');
    }, graceMs);
    // On Windows a signal kills at once. A process that sees its channel close ends in order.
    if (process.platform === 'win32' && child.connected) child.disconnect();
    else child.kill('SIGTERM');
    await ended;
    clearTimeout(timer);
    return inTime;
  }

  /** @param {string} reason */
  #ended(reason) {
    if (this.#stopping) return;
    this.#killGuarded();
    if (!this.#keptAlive) {
      this.#options.onDeath({ reason });
      return;
    }
    this.#deaths += 1;
    const restartMs = restartDelayMs(this.#deaths);
    this.#restart = setTimeout(() => this.start(), restartMs);
    this.#options.onDeath({ reason, restartMs });
  }

  /** A killed guard could not end its program. */
  #killGuarded() {
    if (this.#guardedPid === undefined) return;
    try {
      process.kill(this.#guardedPid, 'SIGKILL');
    } catch {
      // It ended with its guard.
    }
    this.#guardedPid = undefined;
  }
}
