import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../system/service-process.ts';
import type { RunningSystem, System } from './system.ts';

const HOST = '127.0.0.1';
const API_KEY = 'key-of-the-benchmark';
const TOKEN_SECRET = 'a secret of the benchmark that is long enough for HS256';
const NAMESPACE = 'kept';
/** Publications that a channel keeps; more than a client misses in any case. */
const HISTORY_SIZE = 1000;
const READ_BUFFER_BYTES = 512;
const READY_TIMEOUT_MS = 15_000;
const READY_POLL_MS = 20;

const DOCUMENTATION = 'https://centrifugal.dev/docs';

const SETTINGS = [
  'one HS256 token for all clients, and one API key; WebSocket; memory engine; usage statistics off',
];

const HISTORY_PAGE = `${DOCUMENTATION}/server/history_and_recovery`;
const DESIGN_PAGE = `${DOCUMENTATION}/getting-started/design`;

const NOT_PROMISED = [
  `that what was acknowledged survives the end of the process: the memory engine keeps history in memory (${HISTORY_PAGE}); with its Redis and PostgreSQL brokers, which were not measured, history is as durable as these`,
  `that a publication arrives: at most once without positioning or recovery, and with them at least once within the size and the time of a channel's history (${DESIGN_PAGE})`,
  `a deep history: it is a bounded cache of the newest messages of a channel, and no event log to read from the beginning; 300 publications are recovered at most by default (${HISTORY_PAGE})`,
  `to tell exactly what was missed: beyond the history a client is told \`recovered: false\`, and loads its state from the application's database (${HISTORY_PAGE})`,
  `an order across channels: each has a stream with offsets of its own; within a channel the order is that of publications which wait for each other (${DESIGN_PAGE})`,
];

/** JSON, and no history: publications go to who is connected, at most once. */
export const centrifugo = describe({
  name: 'centrifugo',
  title: 'Centrifugo, defaults',
  isTuned: false,
  more: [],
});

/** With what its documentation has for clients that come back, for speed, and for many connections. */
export const centrifugoTuned = describe({
  name: 'centrifugo-tuned',
  title: 'Centrifugo, recovery, tuned',
  isTuned: true,
  more: [
    `a namespace with \`history_size\` ${HISTORY_SIZE}, \`history_ttl\` 300s and \`force_recovery\` (${HISTORY_PAGE})`,
    `the Protobuf protocol in the place of JSON, which is for "maximum performance on server-side"; \`websocket.read_buffer_size\` ${READ_BUFFER_BYTES} and \`websocket.use_write_buffer_pool\`, which need less memory (${DOCUMENTATION}/transports/websocket)`,
  ],
});

interface Variant {
  readonly name: string;
  readonly title: string;
  readonly isTuned: boolean;
  readonly more: readonly string[];
}

function describe({ name, title, isTuned, more }: Variant): System {
  return {
    name,
    title,
    settings: [...SETTINGS, ...more],
    notPromised: NOT_PROMISED,
    without: (caseName) => {
      const isStorm = caseName === 'storm';
      return isStorm && !isTuned ? 'without history nothing can be recovered' : undefined;
    },
    start: () => start(isTuned),
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

async function start(isTuned: boolean): Promise<RunningSystem> {
  const program = centrifugoProgram();
  if (!program) throw new Error('There is no Centrifugo.');
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-centrifugo-'));
  const port = await freePort();
  const config = join(folder, 'config.json');
  writeFileSync(config, JSON.stringify(configuration(port, isTuned)));
  const logFile = join(folder, 'log');
  const log = openSync(logFile, 'w');
  const child = spawn(program, ['--config', config], { stdio: ['ignore', log, log] });
  const killAtExit = () => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  child.once('exit', () => process.off('exit', killAtExit));
  await untilReady(child, port, logFile);
  const namespace = isTuned ? { namespace: NAMESPACE } : {};
  return {
    access: {
      transport: 'centrifugo',
      host: HOST,
      port,
      token: token(),
      epoch: 'centrifu',
      protobuf: isTuned,
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

function configuration(port: number, isTuned: boolean): object {
  const allowed = { allow_subscribe_for_client: true };
  return {
    http_server: { address: HOST, port },
    http_api: { key: API_KEY },
    health: { enabled: true },
    usage_stats: { disabled: true },
    client: { token: { hmac_secret_key: TOKEN_SECRET } },
    ...(isTuned && {
      websocket: { read_buffer_size: READ_BUFFER_BYTES, use_write_buffer_pool: true },
    }),
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
