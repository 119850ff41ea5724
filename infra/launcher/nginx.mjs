import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './checkout.mjs';

const SHIPPED = join(ROOT, 'infra', 'nginx');

/**
 * Copies the shipped configuration of nginx into a folder, with the addresses of services on this
 * machine.
 *
 * @param {string} folder
 * @param {{ port: number, operators: number, gateways: readonly number[], ingests: readonly number[],
 *   replays: readonly number[] }} ports the services have no admin ports of their own
 * @returns {string} the file for `nginx -c`
 */
export function writeNginxConfiguration(folder, { port, operators, gateways, ingests, replays }) {
  cpSync(SHIPPED, folder, { recursive: true });
  for (const [name, own] of /** @type {const} */ ([
    ['listen.conf', port],
    ['listen-operators.conf', operators],
  ])) {
    rewrite(join(folder, name), [[/^listen \d+/m, `listen 127.0.0.1:${own}`]]);
  }
  const [replay = 0, ...others] = replays;
  rewrite(join(folder, 'upstreams.conf'), [
    [/^ *server gateway-1:.*\n/gm, servers(gateways, ' max_fails=0')],
    [/^ *server gateway-2:.*\n/gm, ''],
    [/^ *server ingest:.*\n/m, servers(ingests, '')],
    // The first that is left is that of the admin calls.
    [/^ *server replay:.*\n/m, servers(replays, '')],
    [/^ *server replay:.*\n/m, servers([replay], '') + servers(others, ' backup')],
  ]);
  const file = join(folder, 'nginx.conf');
  rewrite(file, [
    [/\/tmp\/nginx/g, join(folder, 'nginx')],
    ['/dev/stdout', join(folder, 'access.log')],
  ]);
  return file;
}

/** @param {readonly number[]} ports @param {string} options */
function servers(ports, options) {
  return ports.map((port) => `  server 127.0.0.1:${port}${options};\n`).join('');
}

/** @param {string} file @param {[RegExp | string, string][]} replacements */
function rewrite(file, replacements) {
  let text = readFileSync(file, 'utf8');
  for (const [from, to] of replacements) text = text.replace(from, to);
  writeFileSync(file, text);
}
