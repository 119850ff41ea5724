import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../system/service-process.ts';
import type { Needs, RunningSystem, System } from './system.ts';

const HOST = '127.0.0.1';
const API_KEY = 'key-of-the-benchmark';
const TOKEN_SECRET = 'a secret of the benchmark that is long enough for HS256';
const NAMESPACE = 'kept';
/** Publications that a channel keeps; more than a client misses in any case. */
const HISTORY_SIZE = 1000;
/** Room for what a client waits for while the load publishes as fast as it can. */
const QUEUE_BYTES = 64 * 1024 * 1024;
const READY_TIMEOUT_MS = 15_000;
const READY_POLL_MS = 20;

const DOCUMENTATION = 'https://centrifugal.dev/docs';

const SETTINGS = [
  `\`client.queue_max_size\` ${QUEUE_BYTES / 1024 / 1024} MiB in the place of 1, or a saturated client would be disconnected as slow`,
  'one HS256 token for all clients, one API key, memory engine, JSON protocol over WebSocket: what its client libraries take by default; usage statistics off',
];

const NOT_PROMISED = [
  `that a publication survives the end of the process: the memory engine keeps history in memory, and nothing without history; ${DOCUMENTATION}/server/history_and_recovery`,
  `that history is complete: it has a size and a time for each channel, at most 300 publications are recovered by default, and the application's database is to be the source of truth; a client is told that it was not recovered, and not what it missed; ${DOCUMENTATION}/server/history_and_recovery`,
  `an order across channels: each has a stream of its own with its own offsets; ${DOCUMENTATION}/server/history_and_recovery`,
];

/** Without history: publications go to who is connected, at most once. */
export const centrifugo = describe({
  name: 'centrifugo',
  title: 'Centrifugo, defaults',
  kept: false,
  more: [],
});

/** With what its documentation has for clients that come back. */
export const centrifugoHistory = describe({
  name: 'centrifugo-history',
  title: 'Centrifugo, history and recovery',
  kept: true,
  more: [
    `a namespace with \`history_size\` ${HISTORY_SIZE}, \`history_ttl\` 300s and \`force_recovery\``,
  ],
});

interface Variant {
  readonly name: string;
  readonly title: string;
  readonly kept: boolean;
  readonly more: readonly string[];
}

function describe({ name, title, kept, more }: Variant): System {
  return {
    name,
    title,
    settings: [...SETTINGS, ...more],
    notPromised: NOT_PROMISED,
    without: (caseName) => {
      const isStorm = caseName === 'storm';
      return isStorm && !kept ? 'without history nothing can be recovered' : undefined;
    },
    start: (needs) => start(needs, kept),
  };
}

/** The program that `npm run bench -- peers` found or built. */
export function centrifugoProgram(): string | undefined {
  return process.env.TIDEMARK_CENTRIFUGO_BIN || undefined;
}

export function centrifugoVersion(): string | undefined {
  const program = centrifugoProgram();
  if (!program) return undefined;
  const { stdout } = spawnSync(program, ['version'], { encoding: 'utf8' });
  return /v(\S+) \(Go version: (\S+)\)/
    .exec(stdout ?? '')
    ?.slice(1)
    .join(', ');
}

async function start(_: Needs, kept: boolean): Promise<RunningSystem> {
  const program = centrifugoProgram();
  if (!program) throw new Error('There is no Centrifugo.');
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-centrifugo-'));
  const port = await freePort();
  const config = join(folder, 'config.json');
  writeFileSync(config, JSON.stringify(configuration(port)));
  const logFile = join(folder, 'log');
  const log = openSync(logFile, 'w');
  const child = spawn(program, ['--config', config], { stdio: ['ignore', log, log] });
  const killAtExit = () => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  child.once('exit', () => process.off('exit', killAtExit));
  await untilReady(child, port, logFile);
  const namespace = kept ? { namespace: NAMESPACE } : {};
  return {
    access: {
      transport: 'centrifugo',
      host: HOST,
      port,
      token: token(),
      epoch: 'centrifu',
      ...namespace,
    },
    target: { api: 'centrifugo', host: HOST, port, secret: API_KEY, ...namespace },
    serving: [child.pid ?? 0],
    others: {},
    // A publication is in the history when it is answered.
    settled: async () => {},
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function configuration(port: number): object {
  const allowed = { allow_subscribe_for_client: true };
  return {
    http_server: { address: HOST, port },
    http_api: { key: API_KEY },
    health: { enabled: true },
    usage_stats: { disabled: true },
    client: { token: { hmac_secret_key: TOKEN_SECRET }, queue_max_size: QUEUE_BYTES },
    channel: {
      without_namespace: allowed,
      namespaces: [
        {
          name: NAMESPACE,
          history_size: HISTORY_SIZE,
          history_ttl: '300s',
          force_recovery: true,
          ...allowed,
        },
      ],
    },
  };
}

async function untilReady(child: ChildProcess, port: number, logFile: string): Promise<void> {
  const deadlineMs = Date.now() + READY_TIMEOUT_MS;
  while (Date.now() < deadlineMs && child.exitCode === null) {
    const answer = await fetch(`http://${HOST}:${port}/health`).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) return;
    await sleep(READY_POLL_MS);
  }
  child.kill('SIGKILL');
  throw new Error(`Centrifugo is not ready:\n${readFileSync(logFile, 'utf8').slice(-2000)}`);
}

/** A token for a day. The name of its user is in it. */
function token(): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const payload = { sub: 'bench', exp: Math.floor(Date.now() / 1000) + 24 * 3600 };
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(payload)}`;
  return `${text}.${createHmac('sha256', TOKEN_SECRET).update(text).digest('base64url')}`;
}
