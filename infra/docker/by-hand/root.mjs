import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The user that the base image has for services. */
export const USER_ID = 1000;

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Where a root keeps the certificates of an authority that only this machine knows. */
const AUTHORITY = '/usr/local/share/authority.pem';

/** What every command sees; the mounts end with it. */
const PROCESSES = 'mount -t proc proc "$0/proc"';

/** A folder that commands run in as if it were the whole system. */
export class Root {
  /** @param {string} folder */
  constructor(folder) {
    this.folder = folder;
  }

  /** @param {string} path */
  at(path) {
    return join(this.folder, path);
  }

  /** @param {string} folder a copy of this root */
  copyTo(folder) {
    rmSync(folder, { recursive: true, force: true });
    run('cp', ['-a', this.folder, folder]);
    return new Root(folder);
  }

  /**
   * The command that runs another one inside, where nothing of this machine's environment is.
   *
   * @param {readonly string[]} command
   * @param {object} options
   * @param {string} options.cwd
   * @param {Readonly<Record<string, string>>} options.env
   * @param {number} [options.userId]
   * @param {readonly string[]} [options.mounts] further mounts, of which `$0` is this folder
   */
  inside(command, { cwd, env, userId = 0, mounts = [] }) {
    const authority = existsSync(this.at(AUTHORITY)) ? { NODE_EXTRA_CA_CERTS: AUTHORITY } : {};
    const variables = { PATH, HOME: '/tmp', ...authority, ...env };
    const go = [
      'env',
      '-i',
      ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
    ];
    const there = ['sh', '-c', 'cd "$0" && exec "$@"', cwd, ...command];
    const script = [...mounts, PROCESSES, 'exec "$@"'].join('\n');
    const own = ['unshare', '--mount', 'sh', '-ec', script, this.folder];
    return [...own, 'chroot', `--userspec=${userId}:${userId}`, this.folder, ...go, ...there];
  }
}

/**
 * What `node:20-bookworm-slim` is: Debian's minimal system, and Node with its headers and npm under
 * /usr/local, taken from this machine.
 *
 * @param {string} folder
 */
export function makeBase(folder) {
  run('debootstrap', ['--variant=minbase', 'bookworm', folder]);
  const root = new Root(folder);
  const nodeHome = dirname(dirname(process.execPath));
  const copy = (/** @type {string} */ from, /** @type {string} */ to) => {
    cpSync(from, root.at(to), { recursive: true, verbatimSymlinks: true });
  };
  copy(process.execPath, '/usr/local/bin/node');
  copy(join(nodeHome, 'include/node'), '/usr/local/include/node');
  copy(join(nodeHome, 'lib/node_modules/npm'), '/usr/local/lib/node_modules/npm');
  for (const name of ['npm', 'npx']) {
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, root.at(`/usr/local/bin/${name}`));
  }
  copy('/etc/resolv.conf', '/etc/resolv.conf');
  copy('/etc/hosts', '/etc/hosts');
  const { NODE_EXTRA_CA_CERTS } = process.env;
  if (NODE_EXTRA_CA_CERTS) {
    mkdirSync(dirname(root.at(AUTHORITY)), { recursive: true });
    copy(NODE_EXTRA_CA_CERTS, AUTHORITY);
  }
  const user = ['useradd', '--uid', String(USER_ID), '--user-group', '--create-home', 'node'];
  const [command = '', ...args] = root.inside(user, { cwd: '/', env: {} });
  run(command, args);
  return root;
}

/** @param {string} command @param {readonly string[]} args @throws when it fails */
export function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}.`);
}
