import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { run } from '../../infra/launcher/command.mjs';
import { Failure } from '../../infra/launcher/failure.mjs';
import { createSecretFile } from '../../infra/launcher/secret.mjs';

/*
 * A PostgreSQL of this example alone: with a folder, a password and a port of its own, on loopback. A real service is
 * given a database instead.
 */

const NAME = 'orders';
const READY_MS = 30_000;
const POLL_MS = 50;

/** Where packages put the server's programs, which Debian keeps off the PATH; below are folders for versions. */
const PLACES = [
  { folder: '/usr/lib/postgresql', programs: 'bin' },
  { folder: '/opt/homebrew/opt', programs: 'bin', name: /^postgresql@/ },
  { folder: '/usr', programs: 'bin', name: /^pgsql-/ },
];

/** @param {NodeJS.ProcessEnv} environment @returns {string | undefined} the folder with `initdb` and `postgres` */
export function findPostgresql({ PATH = '' }) {
  const packaged = PLACES.flatMap(({ folder, programs, name = /./ }) => {
    const versions = existsSync(folder) ? readdirSync(folder).filter((one) => name.test(one)) : [];
    versions.sort((left, right) => right.localeCompare(left, 'en', { numeric: true }));
    return versions.map((version) => join(folder, version, programs));
  });
  return [...PATH.split(delimiter), ...packaged].find(
    (folder) => folder && ['initdb', 'postgres'].every((name) => existsSync(join(folder, name))),
  );
}

/**
 * The folder of the server: below this one, or for root one that others can get to, which this one names.
 *
 * @param {string} folder
 */
export function placeIn(folder) {
  if (process.getuid?.() !== 0) return join(folder, 'postgresql');
  const note = join(folder, 'postgresql-folder');
  if (existsSync(note)) {
    const place = readFileSync(note, 'utf8');
    if (existsSync(place)) return place;
  }
  const place = mkdtempSync(join(tmpdir(), 'tidemark-order-service-'));
  writeFileSync(note, place);
  return place;
}

/**
 * Makes the data of a server where there are none.
 *
 * @param {string} programs their folder
 * @param {string} folder for root one that others can get to: PostgreSQL refuses root, and another user runs it
 * @param {number} port
 * @returns {Promise<{ command: readonly string[], url: string }>} the server to run, and its address as
 *   `postgres://…` with the password
 * @throws Failure
 */
export async function preparePostgresql(programs, folder, port) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const data = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  const password = createSecretFile(passwordFile);
  const user = await otherUser();
  if (user) for (const path of [folder, passwordFile]) chownSync(path, user.id, user.group);
  const command = (/** @type {string} */ name, /** @type {readonly string[]} */ args) => [
    ...(user ? ['setpriv', `--reuid=${user.id}`, `--regid=${user.group}`, '--clear-groups'] : []),
    ...[join(programs, name), ...args],
  ];
  const made = join(folder, 'made');
  if (!existsSync(made)) {
    // What a set-up that was cut short has left.
    rmSync(data, { recursive: true, force: true });
    const owner = ['--username', NAME, '--pwfile', passwordFile, '--auth', 'scram-sha-256'];
    const language = ['--encoding', 'UTF8', '--locale', 'C'];
    const [program = '', ...args] = command('initdb', ['-D', data, ...owner, ...language]);
    const { ok, output } = await run(program, args, { guarded: true, cwd: folder });
    if (!ok) throw new Failure(`PostgreSQL cannot make its files: ${output.trim()}`);
    writeFileSync(made, '');
  }
  const settings = [
    ...['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
    // Without what it says at each start.
    ...['-c', 'log_min_messages=fatal'],
  ];
  return {
    command: command('postgres', ['-D', data, '-p', String(port), ...settings]),
    url: `postgres://${NAME}:${password}@127.0.0.1:${port}/postgres`,
  };
}

/** Who runs the server where this process is root's. @returns {Promise<{ id: number, group: number } | undefined>} */
async function otherUser() {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    const [id, group] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
    if (id.ok && group.ok) return { id: Number(id.output), group: Number(group.output) };
  }
  throw new Failure('PostgreSQL does not run as root, and there is no other user.');
}

/** Waits until the server answers. @param {string} url @throws Failure */
export async function untilAnswers(url) {
  const deadline = Date.now() + READY_MS;
  while (Date.now() < deadline) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: READY_MS });
    client.on('error', () => undefined);
    const answers = await client.connect().then(
      () => true,
      () => false,
    );
    await client.end().catch(() => undefined);
    if (answers) return;
    await sleep(POLL_MS);
  }
  throw new Failure(`PostgreSQL does not answer after ${READY_MS / 1000} s.`);
}
