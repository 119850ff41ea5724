import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { NODE_ARGUMENTS } from '@tidemark/config';
import { type ServiceName, TEST_SECRET } from '../../support/services.ts';
import { Profiler } from './profiler.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
/** Ends the service when the benchmark ends, in whatever way. */
const PARENT_WATCH = new URL('../../../infra/launcher/parent-watch.mjs', import.meta.url).href;
const READY_TIMEOUT_MS = 30_000;
const READY_POLL_MS = 20;
const STOP_TIMEOUT_MS = 15_000;

export interface ServiceProcessOptions {
  readonly name: ServiceName;
  readonly natsUrl: string;
  /** The folder for its log. */
  readonly folder: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The folder for CPU profiles of measurements. */
  readonly profileFolder?: string | undefined;
}

/**
 * A service under measurement. It logs to a file, because reading the log here would use the cores that
 * the service shares with its load.
 */
export class ServiceProcess {
  readonly url: string;
  readonly port: number;
  readonly #child: ChildProcess;
  #profiler: Profiler | undefined;
  #profileFolder = '';

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(options: ServiceProcessOptions): Promise<ServiceProcess> {
    const { name, natsUrl, folder, env = {}, profileFolder } = options;
    const port = await freePort();
    const logFile = join(folder, `${name}-${port}.log`);
    const output = openSync(logFile, 'w');
    const inspect = profileFolder === undefined ? [] : ['--inspect=127.0.0.1:0'];
    const nodeArguments = [...NODE_ARGUMENTS, '--import', PARENT_WATCH, ...inspect];
    const child = spawn(process.execPath, [...nodeArguments, `services/${name}/dist/main.js`], {
      cwd: ROOT,
      env: {
        PATH: process.env.PATH,
        NATS_URL: natsUrl,
        TIDEMARK_TOKEN_SECRET: TEST_SECRET,
        [`TIDEMARK_${name.toUpperCase()}_PORT`]: String(port),
        ...env,
      },
      stdio: ['ignore', output, output, 'ipc'],
    });
    const killAtExit = () => child.kill('SIGKILL');
    process.once('exit', killAtExit);
    child.once('exit', () => process.off('exit', killAtExit));
    const service = new ServiceProcess(child, port);
    await service.#untilReady(name, logFile);
    if (profileFolder !== undefined) {
      const url = /ws:\/\/\S+/.exec(readFileSync(logFile, 'utf8'))?.[0] ?? '';
      service.#profiler = await Profiler.connect(url);
      service.#profileFolder = profileFolder;
    }
    return service;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async startProfile(): Promise<void> {
    await this.#profiler?.start();
  }

  async stopProfile(): Promise<void> {
    const profile = await this.#profiler?.stop();
    if (profile === undefined) return;
    mkdirSync(this.#profileFolder, { recursive: true });
    const name = new Date().toISOString().replaceAll(':', '-');
    writeFileSync(join(this.#profileFolder, `${name}.cpuprofile`), profile);
  }

  async stop(): Promise<void> {
    this.#profiler?.close();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    this.#child.kill('SIGTERM');
    await ended;
    clearTimeout(timer);
  }

  async #untilReady(name: string, logFile: string): Promise<void> {
    const deadlineMs = Date.now() + READY_TIMEOUT_MS;
    while (Date.now() < deadlineMs && this.#child.exitCode === null) {
      const answer = await fetch(`${this.url}/readyz`).catch(() => undefined);
      await answer?.body?.cancel();
      if (answer?.ok) return;
      await sleep(READY_POLL_MS);
    }
    const log = readFileSync(logFile, 'utf8').split('\n').slice(-20).join('\n');
    throw new Error(`${name} is not ready:\n${log}`);
  }
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
