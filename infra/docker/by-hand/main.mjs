/*
 * Builds the images without a container engine, and tries what is in them. Each step of the
 * Dockerfile is carried out in a clean Debian root; the services then run as the images' user, on
 * file systems that they can only read, against a nats-server of this machine. As root:
 *   node infra/docker/by-hand/main.mjs <empty folder>
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Failure, runMain } from '../../launcher/failure.mjs';
import { provideNatsServer } from '../../launcher/nats-server.mjs';
import { freePorts } from '../../launcher/ports.mjs';
import { ROOT, SERVICES } from '../../launcher/settings.mjs';
import { makeToken } from '../../launcher/token.mjs';
import { Builder } from './build.mjs';
import { makeBase, run, USER_ID } from './root.mjs';
import { Trial } from './trial.mjs';

const TOPIC = 'by-hand';

async function main() {
  const [given] = process.argv.slice(2);
  if (!given || process.getuid?.() !== 0) throw new Failure('Run it as root, with a folder.');
  const folder = resolve(given);
  mkdirSync(folder, { recursive: true });
  const base = makeBase(join(folder, 'base'));
  const secretFile = join(folder, 'token-secret');
  writeFileSync(secretFile, randomBytes(32).toString('hex'));
  chownSync(secretFile, USER_ID, USER_ID);
  const file = join(ROOT, 'infra/docker/Dockerfile');
  const builder = new Builder({ file, context: ROOT, base, work: join(folder, 'stages') });
  const images = SERVICES.map((service) => {
    const startMs = Date.now();
    const image = builder.build({ SERVICE: service });
    mkdirSync(image.root.at('/run/secrets'), { recursive: true });
    run('cp', ['-p', secretFile, image.root.at('/run/secrets/token_secret')]);
    run('du', ['-sh', image.root.at(image.cwd)]);
    console.log(`${service} was built in ${Math.round((Date.now() - startMs) / 1000)} s`);
    return { service, image };
  });
  await tryOut(images, folder, secretFile);
}

/**
 * @param {readonly { service: import('../../launcher/settings.mjs').ServiceName, image: import('./build.mjs').Image }[]} images
 * @param {string} folder
 * @param {string} secretFile
 */
async function tryOut(images, folder, secretFile) {
  const host = '127.0.0.1';
  const names = ['nats', ...SERVICES];
  const ports = await freePorts(names.map((name) => ({ name, variable: '', port: 0, host })));
  const { path } = await provideNatsServer(process.env, console.log);
  const config = join(ROOT, 'infra/nats/nats-server.conf');
  const store = join(folder, 'nats');
  const options = ['-c', config, '-a', host, '-p', String(ports.nats), '-sd', store];
  const nats = spawn(path, options, { stdio: 'ignore' });
  process.once('exit', () => nats.kill('SIGKILL'));

  const natsUrl = `nats://${host}:${ports.nats}`;
  const trials = images.map(({ service, image }) => {
    return new Trial(service, image, { natsUrl, port: ports[service] ?? 0 });
  });
  for (const trial of trials) await trial.healthy();
  const url = (/** @type {string} */ name) => trials.find((one) => one.name === name)?.url;
  const token = await makeToken({
    environment: { TIDEMARK_TOKEN_SECRET_FILE: secretFile },
    folder,
    subject: 'by-hand',
    scope: 'publish:> subscribe:> history:>',
    ttlSeconds: 600,
  });
  await tellEvent({ gateway: url('gateway'), ingest: url('ingest'), replay: url('replay') }, token);
  for (const trial of trials.reverse()) {
    const code = await trial.stop();
    if (code !== 0) throw new Failure(`${trial.name} ended with ${code} after SIGTERM.`);
  }
  console.log('The images serve: published, received, looked up, healthy, stopped.');
}

/**
 * Publishes an event, receives it over SSE, and finds it in the history.
 *
 * @param {Record<'gateway' | 'ingest' | 'replay', string | undefined>} urls
 * @param {string} token
 */
async function tellEvent({ gateway, ingest, replay }, token) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ type: TOPIC, data: 'tide' });
  const stored = await fetch(`${ingest}/v1/events`, { method: 'POST', headers, body });
  if (stored.status !== 201) throw new Failure(`ingest answered ${stored.status}.`);
  const stream = await fetch(`${gateway}/v1/sse?topics=${TOPIC}&after=earliest`, { headers });
  await readUntil(stream, '"tide"');
  const history = await fetch(`${replay}/v1/events?topics=${TOPIC}`, { headers });
  await readUntil(history, '"tide"');
}

/** @param {Response} response @param {string} text */
async function readUntil(response, text) {
  let read = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    read += decoder.decode(chunk, { stream: true });
    if (read.includes(text)) return;
  }
  throw new Failure(`The answer (${response.status}) lacks ${text}.`);
}

await runMain(main);
process.exit();
