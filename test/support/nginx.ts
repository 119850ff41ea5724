import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  cpSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from './free-ports.ts';
import type { System } from './system.ts';
import { until } from './until.ts';

const SHIPPED = fileURLToPath(new URL('../../infra/nginx', import.meta.url));

export const HAS_NGINX = spawnSync('nginx', ['-v']).status === 0;
export const HAS_OPENSSL = spawnSync('openssl', ['version']).status === 0;

/** Instead of a minute, which a test would not wait for. */
export const READ_TIMEOUT_S = 2;

/** As much below the timeout as it is in the original. */
export const HEARTBEAT_MS = '500';

export interface NginxOptions {
  /** Further changes of the configuration. */
  readonly changes?: readonly [RegExp | string, string][];
  readonly tls?: boolean;
}

/** A real nginx in front of a system. */
export interface Nginx {
  readonly url: string;
  /** Where operators have the console and the admin calls. */
  readonly operatorsUrl: string;
  /** With TLS: the certificate, signed by itself. */
  readonly certificate: string | undefined;
  /** Of requests and of errors. */
  log(): string;
  /** What `nginx -t` says. */
  check(): string;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** With the configuration that is shipped, except for addresses, paths and the timeout. */
export async function startNginx(
  system: System,
  { tls = false, changes = [] }: NginxOptions = {},
): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-nginx-'));
  cpSync(SHIPPED, folder, { recursive: true });
  const [port = 0, operatorsPort = 0] = await freePorts(2);
  writeFileSync(join(folder, 'upstreams.conf'), upstreams(system));
  const certificate = tls ? makeCertificate(folder) : undefined;
  const listen = join(folder, 'listen.conf');
  // Mounted in its place, as infra/README.md says.
  if (tls) cpSync(join(folder, 'listen-tls.conf'), listen);
  rewrite(listen, [
    [/^listen \d+/m, `listen 127.0.0.1:${port}`],
    ['/run/secrets/tls_certificate', join(folder, 'certificate.pem')],
    ['/run/secrets/tls_key', join(folder, 'key.pem')],
  ]);
  rewrite(join(folder, 'listen-operators.conf'), [
    [/^listen \d+/m, `listen 127.0.0.1:${operatorsPort}`],
  ]);
  const file = join(folder, 'nginx.conf');
  for (const changed of [file, join(folder, 'server.conf')]) {
    rewrite(changed, [
      [/60s/g, `${READ_TIMEOUT_S}s`],
      [/\/tmp\/nginx/g, join(folder, 'nginx')],
      ['/dev/stdout', join(folder, 'access.log')],
      ...changes,
    ]);
  }
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  const start = () => launch(file, () => answers(url, certificate));
  let child = await start();
  return {
    url,
    operatorsUrl: `http://127.0.0.1:${operatorsPort}`,
    certificate,
    log: () =>
      ['access.log', 'error.log'].map((name) => readFileSync(join(folder, name), 'utf8')).join(''),
    check: () => String(spawnSync('nginx', ['-t', '-c', file]).stderr),
    async restart() {
      await end(child);
      child = await start();
    },
    async stop() {
      await end(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** As many gateways as the system has, of those that are shipped. */
function upstreams({ gateways, ingest, replay }: System): string {
  return readFileSync(join(SHIPPED, 'upstreams.conf'), 'utf8')
    .replace(/^ *server gateway-(\d):\d+(.*)\n/gm, (_, number, options) => {
      const gateway = gateways[number - 1];
      return gateway ? `  server 127.0.0.1:${gateway.port}${options}\n` : '';
    })
    .replace(/ingest:\d+/, `127.0.0.1:${ingest.port}`)
    .replace(/replay:\d+/g, `127.0.0.1:${replay.port}`);
}

function rewrite(file: string, replacements: readonly [RegExp | string, string][]): void {
  let text = readFileSync(file, 'utf8');
  for (const [from, to] of replacements) text = text.replace(from, to);
  writeFileSync(file, text);
}

function makeCertificate(folder: string): string {
  const certificate = join(folder, 'certificate.pem');
  const { status, stderr } = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost'],
    ...['-addext', 'subjectAltName=IP:127.0.0.1'],
    ...['-keyout', join(folder, 'key.pem'), '-out', certificate],
  ]);
  if (status !== 0) throw new Error(`openssl made no certificate: ${stderr}`);
  return readFileSync(certificate, 'utf8');
}

async function launch(file: string, isUp: () => Promise<boolean>): Promise<ChildProcess> {
  const errors = openSync(join(dirname(file), 'error.log'), 'a');
  const child = spawn('nginx', ['-c', file, '-g', 'daemon off;'], {
    stdio: ['ignore', 'ignore', errors],
  });
  closeSync(errors);
  process.once('exit', () => child.kill('SIGKILL'));
  await until(isUp, 'nginx');
  return child;
}

function answers(url: string, certificate: string | undefined): Promise<boolean> {
  const ask = certificate === undefined ? httpRequest : httpsRequest;
  return new Promise((resolve) => {
    const asked = ask(`${url}/healthz`, { ca: certificate }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.once('error', () => resolve(false)).end();
  });
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
