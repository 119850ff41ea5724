import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { portVariable } from '../../launcher/settings.mjs';
import { USER_ID } from './root.mjs';

/** @typedef {import('./build.mjs').Image} Image */

const SECRET_FILE = '/run/secrets/token_secret';
const HEALTHY_TIMEOUT_MS = 30_000;
const HEALTH_POLL_MS = 500;

/** What docker does with `read_only`, `tmpfs` and a volume. */
const MOUNTS = [
  'mount --bind "$0" "$0"',
  'mount -o remount,ro,bind "$0"',
  'mount -t tmpfs tmpfs "$0/tmp"',
  `mount -t tmpfs -o uid=${USER_ID},gid=${USER_ID} tmpfs "$0/data"`,
];

/** A service of an image, run as the image says, on a file system that it can only read. */
export class Trial {
  /** @type {Image} */
  #image;
  /** @type {Record<string, string>} */
  #env;
  /** @type {import('node:child_process').ChildProcess} */
  #child;

  /**
   * @param {import('../../launcher/settings.mjs').ServiceName} name
   * @param {Image} image
   * @param {{ natsUrl: string, port: number }} options
   */
  constructor(name, image, { natsUrl, port }) {
    this.name = name;
    this.url = `http://127.0.0.1:${port}`;
    this.#image = image;
    this.#env = {
      ...image.env,
      NATS_URL: natsUrl,
      TIDEMARK_TOKEN_SECRET_FILE: SECRET_FILE,
      [portVariable(name)]: String(port),
      HEALTH_PORT: String(port),
      ...(name === 'replay' && { TIDEMARK_REPLAY_DATABASE: '/data/archive.db' }),
    };
    const [program = '', ...args] = this.#inside(image.command, MOUNTS);
    this.#child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    process.once('exit', () => this.#child.kill('SIGKILL'));
    if (this.#child.stdout) {
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        console.log(`${name}: ${JSON.parse(line).msg}`);
      });
    }
  }

  /** Waits until the image's own health check and `/readyz` say that it is well. */
  async healthy() {
    const deadlineMs = Date.now() + HEALTHY_TIMEOUT_MS;
    while (!(this.#healthCheck() && (await this.#isReady()))) {
      if (this.#child.exitCode !== null || Date.now() > deadlineMs) {
        throw new Error(`${this.name} is not well.`);
      }
      await sleep(HEALTH_POLL_MS);
    }
  }

  /** @returns {Promise<number | null>} the exit code after SIGTERM */
  async stop() {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const [code] = await ended;
    return code;
  }

  #healthCheck() {
    const [command = '', ...args] = this.#inside(this.#image.health);
    return spawnSync(command, args).status === 0;
  }

  async #isReady() {
    const answer = await fetch(`${this.url}/readyz`).catch(() => undefined);
    return answer?.ok ?? false;
  }

  /** @param {readonly string[]} command @param {readonly string[]} [mounts] */
  #inside(command, mounts = []) {
    const { root, cwd, user } = this.#image;
    const userId = user === 'node' ? USER_ID : 0;
    return root.inside(command, { cwd, env: this.#env, userId, mounts });
  }
}
