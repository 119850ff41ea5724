import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Failure, runMain } from '../../../infra/launcher/failure.mjs';
import { openSite } from './site.mjs';

/*
 * `npm run example:<name>`: one of the pages of this folder, against what `npm start` runs, or GATEWAY_URL, INGEST_URL
 * and REPLAY_URL. Page and services share one origin, as they would behind nginx.
 */

const NAMES = readdirSync(import.meta.dirname, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== 'worker')
  .map(({ name }) => name);

async function main() {
  const { name, port } = readArguments();
  const site = await openSite(name, port);
  console.log(`Open ${site.url} (another user: ${site.url}/?user=bob). Ctrl+C ends it.`);
  await new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, resolve);
  });
  await site.close();
}

/** @returns {{ name: string, port: number }} */
function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { port: { type: 'string', default: '8090' } },
  });
  const [name] = positionals;
  if (name === undefined || !NAMES.includes(name))
    throw new Failure(`Name one of these: ${NAMES.join(', ')}.`);
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Failure(`--port ${values.port} is no port.`);
  return { name, port };
}

await runMain(main);
