import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A program that publishes past ingest, to these subjects alone. */
const PUBLISHER = `users: [{
  user: tidemark-publisher, password: $TIDEMARK_NATS_PUBLISHER_PASSWORD
  permissions: { publish: ["tidemark.events.direct.>", "tidemark.events.inbox.*"], subscribe: ["_INBOX.tidemark-publisher.>"] }
}]`;

/** The users that a deployment has; tests run with what these permit. */
export const USERS = readFileSync(
  new URL('../../infra/nats/users.conf', import.meta.url),
  'utf8',
).replace('include "./publishers.conf"', PUBLISHER);

/** What the services' users have as their password, in tests. */
export const NATS_PASSWORD = 'the password of every NATS user in tests';

/** How long a server may take to start or to stop. */
const SERVER_TIMEOUT_MS = 15_000;

/** The last lines of the server's log that an error shows. */
const LOG_LINES_SHOWN = 20;

export interface NatsServerOptions {
  /** Without it the server takes a free one and keeps it over restarts. */
  readonly port?: number;
  /** Without it the server has a temporary folder, which `stop` removes. */
  readonly storeFolder?: string;
  /** The program; the one of the tests if absent. */
  readonly binary?: string;
  /** Further lines of its `jetstream` block. */
  readonly jetStream?: string;
  /** Further lines of configuration in the server's own syntax. */
  readonly config?: string;
}

/** A real nats-server with JetStream, that tests may kill. */
export interface NatsServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly storeFolder: string;
  /** Such as `2.15.2`. */
  readonly version: string;
  /** Resolves once the process is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again with the same port and the same store, ending it first where it runs. */
  restart(binary?: string): Promise<void>;
  /** Ends it and removes its temporary folder. */
  stop(): Promise<void>;
}

export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-nats-'));
  const storeFolder = options.storeFolder ?? join(folder, 'store');
  const configFile = join(folder, 'nats.conf');
  await writeFile(configFile, configuration(storeFolder, options));

  const removeFolder = () => rm(folder, { recursive: true, force: true });
  let running = await launch(configFile, options.port ?? -1, options.binary).catch(
    async (error) => {
      await removeFolder();
      throw error;
    },
  );
  const { port } = running;

  async function kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await end(running.child, signal);
  }
  return {
    url: `nats://127.0.0.1:${port}`,
    get pid() {
      return running.child.pid ?? 0;
    },
    port,
    storeFolder,
    get version() {
      return running.version;
    },
    kill,
    async restart(binary) {
      await kill('SIGTERM');
      running = await launch(configFile, port, binary ?? options.binary);
    },
    async stop() {
      await kill('SIGTERM');
      await removeFolder();
    },
  };
}

function configuration(
  storeFolder: string,
  { jetStream = '', config = '' }: NatsServerOptions,
): string {
  // Who connects without a user is an operator: tests look at everything, from outside.
  return [
    `jetstream {\nstore_dir: ${JSON.stringify(storeFolder)}\n${jetStream}\n}`,
    USERS,
    'no_auth_user: tidemark-operator',
    config,
  ].join('\n');
}

/** Every variable that the configuration takes a password from. */
export function natsPasswords(): Record<string, string> {
  const names = USERS.match(/TIDEMARK_NATS_[A-Z]+_PASSWORD/g) ?? [];
  return Object.fromEntries(names.map((name) => [name, JSON.stringify(NATS_PASSWORD)]));
}

interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  readonly version: string;
}

async function launch(
  configFile: string,
  port: number,
  binary = process.env.TIDEMARK_NATS_SERVER_BIN || 'nats-server',
): Promise<Running> {
  const child = spawn(binary, ['-c', configFile, '-a', '127.0.0.1', '-p', String(port)], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...natsPasswords() },
  });
  // A test that fails before its `stop` must not leave a server behind.
  const killAtExit = () => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  child.once('exit', () => process.off('exit', killAtExit));

  const log = await readUntilReady(child, binary).catch(async (error) => {
    await end(child, 'SIGKILL');
    throw error;
  });
  return {
    child,
    port: Number(/Listening for client connections on \S+:(\d+)/.exec(log)?.[1]),
    version: /Version:\s+(\S+)/.exec(log)?.[1] ?? '',
  };
}

function readUntilReady(child: ChildProcess, binary: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let log = '';
    const fail = (reason: string) => {
      clearTimeout(timer);
      const lines = log.split('\n').slice(-LOG_LINES_SHOWN).join('\n');
      reject(new Error(`nats-server (${binary}) ${reason}\n${lines}`));
    };
    const timer = setTimeout(() => fail('was not ready in time'), SERVER_TIMEOUT_MS);
    child.once('error', ({ message }) => fail(`cannot be run: ${message}`));
    child.once('exit', (code) => fail(`ended at its start with code ${code}`));
    child.stderr?.on('data', (chunk) => {
      // Once ready, the log is only drained, so that the pipe never fills.
      if (log.includes('Server is ready')) return;
      log += chunk;
      if (!log.includes('Server is ready')) return;
      clearTimeout(timer);
      resolve(log);
    });
  });
}

function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), SERVER_TIMEOUT_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill(signal);
  });
}
