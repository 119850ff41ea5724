import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { until } from './until.ts';

/** Where Debian and others have the programs of the server, which are not on the PATH. */
const FOLDER = '/usr/lib/postgresql';

/** How long a server may take to start on a busy machine. */
const START_TIMEOUT_MS = 30_000;

/** The folder of the newest PostgreSQL of this machine; `undefined` where there is none. */
export const POSTGRESQL_BIN = findBin();

/** Whether tests that need it are left out. In CI nothing is. */
export const LACKS_POSTGRESQL = POSTGRESQL_BIN === undefined && process.env.CI !== 'true';

/** A real PostgreSQL on a socket of its own, that tests may kill. */
export interface Postgresql {
  /** `postgres://…` of the superuser; the host is the folder of the socket. */
  readonly url: string;
  readonly pid: number;
  /** A client that is connected; the caller ends it. */
  connect(): Promise<Client>;
  /** SIGKILL to the server and all its processes. */
  kill(): Promise<void>;
  /** Starts it again on its data. */
  restart(): Promise<void>;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

/** Who runs the server: it refuses root. */
interface Owner {
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Starts a PostgreSQL with new data. It does not wait for the disk, which only a power cut could tell.
 *
 * @throws Error where this machine has none; see `POSTGRESQL_BIN`
 */
export async function startPostgresql(
  settings: Readonly<Record<string, string>> = {},
): Promise<Postgresql> {
  if (!POSTGRESQL_BIN) throw new Error(`There is no PostgreSQL in ${FOLDER}.`);
  const bin = POSTGRESQL_BIN;
  const owner = findOwner();
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-postgresql-'));
  const data = join(folder, 'data');
  mkdirSync(data, { mode: 0o700 });
  for (const path of [folder, data])
    if (owner.uid !== undefined) chownSync(path, owner.uid, owner.gid ?? 0);
  execFileSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'trust', '-N', '-E', 'UTF8', '--locale=C'],
    {
      ...owner,
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  const options = {
    fsync: 'off',
    listen_addresses: '',
    unix_socket_directories: folder,
    ...settings,
  };
  const parameters = Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const url = `postgres://postgres@/postgres?host=${encodeURIComponent(folder)}`;
  let child: ChildProcess;

  const connect = async () => {
    const client = new Client({ connectionString: url });
    // Tests kill the server; what a query throws is enough.
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  const run = () => {
    child = spawn(join(bin, 'postgres'), ['-D', data, ...parameters], {
      ...owner,
      cwd: folder,
      stdio: 'ignore',
    });
  };
  const start = async () => {
    run();
    await until(
      async () => {
        // It refuses to start while a process of the killed one still ends.
        if (child.exitCode !== null) run();
        const client = await connect().catch(() => undefined);
        await client?.end();
        return client !== undefined;
      },
      'the start of PostgreSQL',
      START_TIMEOUT_MS,
    );
  };
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  };
  await start();
  return {
    url,
    get pid() {
      return child.pid ?? 0;
    },
    connect,
    kill: () => end('SIGKILL'),
    async restart() {
      await end('SIGKILL');
      await start();
    },
    async stop() {
      // An immediate shutdown, which waits for no client.
      await end('SIGQUIT');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function findBin(): string | undefined {
  if (!existsSync(FOLDER)) return undefined;
  const versions = readdirSync(FOLDER).sort((left, right) => Number(right) - Number(left));
  return versions
    .map((version) => join(FOLDER, version, 'bin'))
    .find((bin) => existsSync(join(bin, 'initdb')));
}

function findOwner(): Owner {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}
