import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { relay } from '@tidemark/config';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePorts } from '../test/support/free-ports.ts';
import { NATS_PASSWORD, type NatsServer, startNatsServer } from '../test/support/nats-server.ts';
import { makeToken, TEST_SECRET } from '../test/support/services.ts';
import { until } from '../test/support/until.ts';
import { run } from './launcher/command.mjs';
import { portVariable, SERVICES } from './launcher/settings.mjs';

/*
 * Builds the image of each service from the Dockerfile with buildah, which needs no container
 * engine, and runs the services. The test makes the base image itself and so needs no image
 * registry: the base is Debian's minimal system with the Node and the npm that run this test.
 */

const ROOT = join(import.meta.dirname, '..');
const DOCKERFILE = join(ROOT, 'infra/docker/Dockerfile');
/** Takes minutes, so a plain `npm test` leaves it out. */
const CAN_BUILD =
  process.env.ALL_TESTS === 'yes' &&
  process.getuid?.() === 0 &&
  ['buildah', 'debootstrap'].every((name) => spawnSync(name, ['--version']).status === 0);

/** A relay runs without NATS, and is alive while its database is away. */
const IMAGES = [...SERVICES, 'relay'] as const;
type ImageName = (typeof IMAGES)[number];

/** Downloads take most of it. */
const TIMEOUT_MS = 600_000;

let folder: string;
/** Options that keep the images in the folder of this test. */
let storage: string[];
let nats: NatsServer | undefined;
const running: Awaited<ReturnType<typeof start>>[] = [];

describe.skipIf(!CAN_BUILD)(
  'images (needs npm test -- --all, root, buildah and debootstrap)',
  () => {
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'tidemark-images-'));
      storage = ['--root', join(folder, 'store'), '--runroot', join(folder, 'run')];
      // vfs works on every file system, but copies the whole image at each step.
      const { ok } = await run('buildah', [...storage, '--storage-driver', 'overlay', 'info']);
      storage.push('--storage-driver', ok ? 'overlay' : 'vfs');
      nats = await startNatsServer();
      await makeBase();
    }, TIMEOUT_MS);

    afterAll(async () => {
      for (const { end } of running) await end('SIGKILL');
      await nats?.stop();
      spawnSync('umount', ['--recursive', join(folder, 'store/overlay')]);
      rmSync(folder, { recursive: true, force: true });
    }, TIMEOUT_MS);

    const title =
      'each image: built and run: serves, is healthy, ends, and wrote only to its volume';
    test(title, { timeout: TIMEOUT_MS }, async () => {
      const ports = await freePorts(IMAGES.length);
      for (const name of IMAGES) await build(name);
      const before = join(folder, 'before');
      writeFileSync(before, '');
      for (const [index, name] of IMAGES.entries()) {
        running.push(await start(name, ports[index] ?? 0));
      }
      for (const { name, url, checkHealth } of running) {
        const path = name === 'relay' ? 'healthz' : 'readyz';
        await until(
          async () => (await fetch(`${url}/${path}`).catch(() => undefined))?.ok ?? false,
        );
        await checkHealth();
      }
      await sendOneEvent();
      for (const { name, end } of running) {
        expect(await end(), name).toBe(0);
        const root = (await buildah('mount', name)).trim();
        const elsewhere = ['data', 'tmp'].flatMap((part) => ['-not', '-path', `${root}/${part}*`]);
        const written = await must('find', root, '-uid', '1000', '-newer', before, ...elsewhere);
        expect(written, name).toBe('');
      }
    });
  },
);

/** Commits Debian's minimal system with Node under the name that the Dockerfile begins with. */
async function makeBase(): Promise<void> {
  await buildah('from', '--name', 'base', 'scratch');
  // Not copied into the image, which would give every file to root.
  const root = (await buildah('mount', 'base')).trim();
  const [image = ''] = /(?<=^ARG NODE=)\S+/m.exec(readFileSync(DOCKERFILE, 'utf8')) ?? [];
  const [, release = ''] = image.split('-');
  const sources = ['Identifier: Packages', `Codename: ${release}`];
  const mirrors = await must('apt-get', 'indextargets', '--format', '$(REPO_URI)', ...sources);
  // As in the official images, whose Node needs libatomic from version 26 on.
  const packages = ['--variant=minbase', '--include=libatomic1'];
  await must('debootstrap', ...packages, release, root, ...(mirrors.match(/^.+/) ?? []));
  const npm = dirname(dirname(realpathSync((await must('which', 'npm')).trim())));
  cpSync(process.execPath, join(root, 'usr/local/bin/node'));
  cpSync(npm, join(root, 'usr/local/lib/node_modules/npm'), { recursive: true });
  for (const name of ['npm', 'npx']) {
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(root, 'usr/local/bin', name));
  }
  await must('chroot', root, 'useradd', '--uid', '1000', '--user-group', '--create-home', 'node');
  // How this machine reaches npm.
  const variables = [
    `npm_config_registry=${(await must('npm', 'config', 'get', 'registry')).trim()}`,
  ];
  const { NODE_EXTRA_CA_CERTS: authorities } = process.env;
  if (authorities) {
    cpSync(authorities, join(root, authorities), { dereference: true });
    variables.push(`NODE_EXTRA_CA_CERTS=${authorities}`);
  }
  await buildah('config', ...variables.flatMap((variable) => ['--env', variable]), 'base');
  await buildah('commit', '--quiet', '--rm', 'base', image);
}

async function build(name: ImageName): Promise<void> {
  const npmrc = (await must('npm', 'config', 'get', 'userconfig')).trim();
  const how = ['--isolation', 'chroot', '--layers', '--pull-never', '--format', 'docker'];
  // npm's global configuration in the image.
  if (existsSync(npmrc)) how.push('--volume', `${npmrc}:/usr/local/etc/npmrc:ro`);
  const what = ['--build-arg', `SERVICE=${name}`, '--tag', name, '--file', DOCKERFILE, ROOT];
  await buildah('bud', ...how, ...what);
  await buildah('from', '--pull-never', '--name', name, name);
}

async function start(name: ImageName, port: number) {
  const { Cmd, Healthcheck } = JSON.parse(await buildah('inspect', name)).Docker.config;
  const variables = {
    NATS_URL: nats?.url,
    TIDEMARK_NATS_USER: `tidemark-${name}`,
    TIDEMARK_NATS_PASSWORD: NATS_PASSWORD,
    TIDEMARK_TOKEN_SECRET: TEST_SECRET,
    TIDEMARK_REPLAY_DATABASE: '/data/archive.db',
    TIDEMARK_RELAY_DATABASE_URL: 'sqlite:/absent/outbox.db',
    TIDEMARK_RELAY_TOKEN: await makeToken('publish:> history:>'),
    [name === 'relay' ? relay.port.variable : portVariable(name)]: port,
    ...(name === 'ingest' && { TIDEMARK_NATS_API_PREFIX: 'tidemark.api' }),
  };
  const env = Object.entries(variables).flatMap(([key, value]) => ['--env', `${key}=${value}`]);
  const inside = ['run', '--isolation', 'chroot', ...env, name, '--'];
  // buildah passes no signal on; so the command says its process id first.
  const command = ['sh', '-c', 'echo $$; exec "$@"', 'sh', ...Cmd];
  const child = spawn('buildah', [...storage, ...inside, ...command], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const [first] = await once(child.stdout, 'data');
  child.stdout.resume();
  return {
    name,
    url: `http://127.0.0.1:${port}`,
    checkHealth: async () => void (await buildah(...inside, ...Healthcheck.Test.slice(1))),
    /** Resolves with the exit code. */
    async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
      if (child.exitCode === null) process.kill(Number.parseInt(String(first), 10), signal);
      return (await ended)[0];
    },
  };
}

/** Publishes an event, receives it over SSE, and finds it in the history. */
async function sendOneEvent(): Promise<void> {
  const [replay, ingest, gateway] = running.map(({ url }) => url);
  const authorization = `Bearer ${await makeToken('publish:> subscribe:> history:>')}`;
  const headers = { authorization, 'content-type': 'application/json' };
  const body = JSON.stringify({ type: 'image', data: 'tide' });
  await fetch(`${ingest}/v1/events`, { method: 'POST', headers, body });
  for (const path of [
    `${gateway}/v1/sse?topics=image&after=earliest`,
    `${replay}/v1/events?topics=image`,
  ]) {
    await until(async () => {
      for await (const chunk of (await fetch(path, { headers })).body ?? []) {
        if (Buffer.from(chunk).includes('"tide"')) return true;
      }
      return false;
    }, path);
  }
}

function buildah(...args: string[]): Promise<string> {
  return must('buildah', ...storage, ...args);
}

/** @returns the output. @throws Error with its end when the command fails */
async function must(command: string, ...args: string[]): Promise<string> {
  const { ok, output } = await run(command, args, { guarded: true });
  if (!ok) throw new Error(`${command} ${args.join(' ')}\n${output.slice(-4000)}`);
  return output;
}
