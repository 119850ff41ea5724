import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { signToken } from '@tidemark/auth';
import { INGEST_API, NODE_ARGUMENTS } from '@tidemark/config';
import { NATS_PASSWORD } from './nats-server.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** How long a service may take to listen and to be ready, and to end after a signal. */
const SERVICE_TIMEOUT_MS = 15_000;
const READY_POLL_MS = 25;

/**
 * `npm test` names two files: one for all that every service logged, showed as metrics and exported, and
 * one for the secrets that tests used. The last test looks for the second in the first.
 */
const { LOGGED_FILE, SECRETS_FILE } = process.env;

/** The HS256 secret of every service that tests start. */
export const TEST_SECRET = 'a secret that only the tests know, long enough for HS256';

export type ServiceName = 'ingest' | 'gateway' | 'replay';

/** The services, and the relay of an outbox, which has no connection to NATS. */
export type ProcessName = ServiceName | 'relay';

export interface ServiceOptions {
  readonly natsUrl: string;
  /** Further `TIDEMARK_` variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** `false`: return once it listens, ready or not; for services whose NATS is away. */
  readonly waitUntilReady?: boolean;
}

/** A log line as the service wrote it. */
export type LogLine = Readonly<Record<string, unknown>>;

/** A service as a process of its own. */
export interface Service<N extends ProcessName = ServiceName> {
  readonly name: N;
  /** Such as `http://127.0.0.1:41234`; stays the same over restarts. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** The archive's file, of a replay service. */
  readonly database: string;
  /** Every log line since the first start, those that are not JSON as `{ text }`. */
  readonly logs: readonly LogLine[];
  waitUntilReady(): Promise<void>;
  /** Resolves with the exit code once the process is gone; `null` where a signal ended it. */
  kill(signal?: NodeJS.Signals): Promise<number | null>;
  /** Starts it again on the same port with the same files, ending it first where it runs. */
  restart(): Promise<void>;
  /** Ends it and removes its temporary folder. */
  stop(): Promise<void>;
}

/** Starts the built service on a free port, with the test secret and temporary files. */
export async function startService<N extends ProcessName>(
  name: N,
  options: ServiceOptions,
): Promise<Service<N>> {
  const folder = await mkdtemp(join(tmpdir(), `tidemark-${name}-`));
  const logs: LogLine[] = [];
  const portVariable = `TIDEMARK_${name.toUpperCase()}_PORT`;
  const environment: NodeJS.ProcessEnv = {
    ...withoutOurVariables(process.env),
    NATS_URL: options.natsUrl,
    [portVariable]: '0',
    TIDEMARK_NATS_USER: `tidemark-${name}`,
    TIDEMARK_NATS_PASSWORD: NATS_PASSWORD,
    ...(name === 'ingest' && { TIDEMARK_NATS_API_PREFIX: INGEST_API }),
    TIDEMARK_TOKEN_SECRET: TEST_SECRET,
    // Tests wait for tokens to expire.
    TIDEMARK_TOKEN_CLOCK_TOLERANCE_SECONDS: '0',
    // Tests look at metrics at once, and name hosts that are not there.
    TIDEMARK_METRICS_CACHE_MS: '0',
    TIDEMARK_ALLOWED_HOSTS: '*',
    TIDEMARK_REPLAY_DATABASE: join(folder, 'archive.db'),
    ...options.env,
  };
  let child = run(name, environment, logs);
  const removeFolder = () => rm(folder, { recursive: true, force: true });
  const port = await listeningPort(name, child, logs).catch(async (error) => {
    await removeFolder();
    throw error;
  });
  const url = `http://127.0.0.1:${port}`;

  const service: Service<N> = {
    name,
    url,
    port,
    get pid() {
      return child.pid ?? 0;
    },
    database: environment.TIDEMARK_REPLAY_DATABASE ?? '',
    logs,
    waitUntilReady: () => waitUntilReady(service, () => hasEnded(child)),
    kill: (signal = 'SIGTERM') => end(child, signal),
    async restart() {
      await end(child, 'SIGTERM');
      child = run(name, { ...environment, [portVariable]: String(port) }, logs);
      await listeningPort(name, child, logs);
      if (options.waitUntilReady !== false) await service.waitUntilReady();
    },
    async stop() {
      await keepMetrics(url);
      await end(child, 'SIGTERM');
      await removeFolder();
    },
  };
  if (options.waitUntilReady === false) return service;
  try {
    await service.waitUntilReady();
  } catch (error) {
    await service.stop();
    throw error;
  }
  return service;
}

/** A token that the services of these tests accept. */
export async function makeToken(
  scope: string,
  subject = 'tester',
  ttlSeconds = 3600,
): Promise<string> {
  return keepSecret(await signToken({ secret: TEST_SECRET, subject, scope, ttlSeconds }));
}

/** No service may log this text. */
export function keepSecret(text: string): string {
  if (SECRETS_FILE) appendFileSync(SECRETS_FILE, `${text}\n`);
  return text;
}

/** How often a limit was reached at a service, by the limit's name. */
export async function limitHits(service: Service, limit: string): Promise<number> {
  return limitMetric(service, 'limits_hit_total', limit);
}

/** How much of a limit is in use. */
export async function limitHeld(service: Service, limit: string): Promise<number> {
  return limitMetric(service, 'limits_held', limit);
}

async function limitMetric({ url }: Service, name: string, limit: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`tidemark_${name}\\{.*"${limit}".*\\} (\\d+)`).exec(text)?.[1] ?? 0);
}

function withoutOurVariables(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !name.startsWith('TIDEMARK_')),
  );
}

function run(name: ProcessName, environment: NodeJS.ProcessEnv, logs: LogLine[]): ChildProcess {
  const child = spawn(process.execPath, [...NODE_ARGUMENTS, `services/${name}/dist/main.js`], {
    cwd: ROOT,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const output of [child.stdout, child.stderr]) {
    if (output) createInterface({ input: output }).on('line', (line) => keep(logs, line));
  }
  // A test that fails before its `stop` must not leave a process behind.
  const killAtExit = () => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  child.once('exit', () => process.off('exit', killAtExit));
  return child;
}

function keep(logs: LogLine[], line: string): void {
  logs.push(parse(line));
  if (LOGGED_FILE) appendFileSync(LOGGED_FILE, `${line}\n`);
}

async function keepMetrics(url: string): Promise<void> {
  if (!LOGGED_FILE) return;
  const answer = await fetch(`${url}/metrics`).catch(() => undefined);
  appendFileSync(LOGGED_FILE, `${(await answer?.text()) ?? ''}\n`);
}

function parse(line: string): LogLine {
  try {
    return JSON.parse(line);
  } catch {
    return { text: line };
  }
}

async function listeningPort(
  name: ProcessName,
  child: ChildProcess,
  logs: readonly LogLine[],
): Promise<number> {
  const from = logs.length;
  const deadline = Date.now() + SERVICE_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const line = logs.slice(from).find(({ msg }) => msg === 'listening');
    if (line) return Number(line.port);
    if (hasEnded(child)) break;
    await sleep(READY_POLL_MS);
  }
  await end(child, 'SIGKILL');
  throw new Error(`${name} does not listen:\n${lastLines(logs)}`);
}

async function waitUntilReady(
  { name, url, logs }: Pick<Service<ProcessName>, 'name' | 'url' | 'logs'>,
  ended: () => boolean,
): Promise<void> {
  const deadline = Date.now() + SERVICE_TIMEOUT_MS;
  while (Date.now() < deadline && !ended()) {
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) return;
    await sleep(READY_POLL_MS);
  }
  throw new Error(`${name} is not ready:\n${lastLines(logs)}`);
}

function lastLines(logs: readonly LogLine[]): string {
  return logs
    .slice(-20)
    .map((line) => JSON.stringify(line))
    .join('\n');
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (!hasEnded(child)) {
    const timer = setTimeout(() => child.kill('SIGKILL'), SERVICE_TIMEOUT_MS);
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
    clearTimeout(timer);
  }
  return child.exitCode;
}
