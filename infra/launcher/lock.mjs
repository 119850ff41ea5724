import { createHash } from 'node:crypto';
import { realpathSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { codeOf } from './failure.mjs';

/** Systems take 103 bytes or more. */
const SOCKET_PATH_BYTES_MAX = 100;

/**
 * Takes a lock that a crash releases: a listening socket, which ends with its process. A file with a
 * process id would remain and could name an unrelated process.
 *
 * @param {string} folder what the lock protects
 * @param {string} purpose distinguishes several locks on one folder
 * @returns {Promise<(() => Promise<void>) | undefined>} the release; `undefined`: another process
 *   holds the lock
 */
export async function takeLock(folder, purpose) {
  const path = socketPath(folder, purpose);
  const server = createServer((socket) => socket.destroy());
  if (!(await listens(server, path))) {
    if (await isHeld(path)) return undefined;
    rmSync(path, { force: true });
    if (!(await listens(server, path))) return undefined;
  }
  server.unref();
  return () => new Promise((resolve) => server.close(() => resolve()));
}

/**
 * In the folder itself, where only those can take it who may write there. In the folder for temporary files, which
 * all users share, another user could hold every lock.
 *
 * @param {string} folder @param {string} purpose
 */
function socketPath(folder, purpose) {
  const real = realpathSync(folder);
  const own = join(real, `.lock-${purpose}.sock`);
  if (process.platform !== 'win32' && Buffer.byteLength(own) <= SOCKET_PATH_BYTES_MAX) return own;
  const hash = createHash('sha256').update(`${purpose} ${real}`).digest('hex');
  const name = `tidemark-${hash.slice(0, 16)}`;
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(tmpdir(), `${name}.sock`);
}

/** @param {import('node:net').Server} server @param {string} path @returns {Promise<boolean>} */
function listens(server, path) {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      if (codeOf(error) === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    server.listen(path, () => resolve(true));
  });
}

/** @param {string} path @returns {Promise<boolean>} */
function isHeld(path) {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => resolve(codeOf(error) === 'EACCES'));
  });
}
