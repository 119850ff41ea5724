import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './checkout.mjs';

const SHIPPED = join(ROOT, 'infra', 'nginx');

/**
 * Copies the shipped configuration of nginx into a folder, with the addresses of services on this
 * machine.
 *
 * @param {string} folder
 * @param {{ port: number, gateways: readonly number[], ingests: readonly number[],
 *   replays: readonly number[] }} ports
 * @returns {string} the file for `nginx -c`
 */
export function writeNginxConfiguration(folder, { port, gateways, ingests, replays }) {
  cpSync(SHIPPED, folder, { recursive: true });
  rewrite(join(folder, 'listen.conf'), [[/^listen \d+/m, `listen 127.0.0.1:${port}`]]);
  rewrite(join(folder, 'upstreams.conf'), [
    [/^ *server gateway-1:.*\n/m, servers(gateways, ' max_fails=0')],
    [/^ *server gateway-2:.*\n/m, ''],
    [/^ *server ingest:.*\n/m, servers(ingests, '')],
    [/^ *server replay:.*\n/m, servers(replays, '')],
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
