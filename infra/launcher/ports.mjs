import { createServer } from 'node:net';
import { codeOf, Failure } from './failure.mjs';

/**
 * Checks that each wanted port is free, and replaces a wanted 0 by a free port.
 *
 * @param {readonly { name: string, variable: string, port: number, host: string }[]} wanted
 * @returns {Promise<Record<string, number>>} ports by name
 */
export async function freePorts(wanted) {
  /** @type {Record<string, number>} */
  const ports = {};
  // All stay open until the last is found, so that no free port is returned twice.
  const held = [];
  try {
    for (const { name, variable, port, host } of wanted) {
      const server = await hold(port, host).catch((error) => {
        throw new Failure(`${reason(error, port, host)} ${name} needs it; change ${variable}.`);
      });
      held.push(server);
      ports[name] = /** @type {import('node:net').AddressInfo} */ (server.address()).port;
    }
    return ports;
  } finally {
    await Promise.all(held.map((server) => new Promise((done) => server.close(done))));
  }
}

/** @param {number} port @param {string} host @returns {Promise<boolean>} */
export async function isFree(port, host) {
  const server = await hold(port, host).catch(() => undefined);
  if (!server) return false;
  await new Promise((done) => server.close(done));
  return true;
}

/** @param {number} port @param {string} host @returns {Promise<import('node:net').Server>} */
function hold(port, host) {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host, exclusive: true }, () => resolve(server));
  });
}

/** @param {unknown} error @param {number} port @param {string} host */
function reason(error, port, host) {
  const code = codeOf(error);
  if (code === 'EADDRINUSE') return `Port ${port} on ${host} is taken by another process;`;
  return `Port ${port} on ${host} cannot be opened (${code});`;
}
