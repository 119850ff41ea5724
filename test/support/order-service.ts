import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { Client } from 'pg';
import type { Order } from '../../examples/order-service/order.mjs';
import { installPythonPackages } from '../runner/own-packages.mjs';
import { until } from './until.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));

/** Between two tries of a request that got no answer. */
const RETRY_MS = 20;

/** The packages of the service in Python, installed once for this user; `undefined`: there is no Python with pip. */
export const PYTHON_PACKAGES = await installPythonPackages(
  join(EXAMPLES, 'order-service-python', 'requirements.txt'),
  'the order service',
  process.env,
  (text) => console.error(text),
);

/** Whether tests that need it are left out. In CI nothing is. */
export const LACKS_PYTHON = PYTHON_PACKAGES === undefined && process.env.CI !== 'true';

export type Language = 'Node' | 'Python';

/** The order service of `examples` as a process of its own, that tests may kill. */
export interface OrderService {
  /** Such as `http://127.0.0.1:41234`; stays the same over restarts. */
  readonly url: string;
  /** What it wrote, its address apart. */
  readonly lines: readonly string[];
  /** Resolves with the exit code once the process is gone; `null` where a signal ended it. */
  kill(signal?: NodeJS.Signals): Promise<number | null>;
  /** Starts it again on its port, ending it first where it runs. */
  restart(): Promise<void>;
}

/** Starts the service on a free port. */
export async function startOrderService(
  language: Language,
  databaseUrl: string,
): Promise<OrderService> {
  const lines: string[] = [];
  let child = run(language, databaseUrl, 0);
  const port = await listeningPort(child, lines);
  const kill = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      child.kill(signal);
      await gone;
    }
    return child.exitCode;
  };
  return {
    url: `http://127.0.0.1:${port}`,
    lines,
    kill,
    async restart() {
      await kill('SIGKILL');
      child = run(language, databaseUrl, port);
      await listeningPort(child, lines);
    },
  };
}

function run(language: Language, databaseUrl: string, port: number): ChildProcess {
  const [command, program] =
    language === 'Node'
      ? [process.execPath, 'order-service/service.mjs']
      : ['python3', 'order-service-python/main.py'];
  const child = spawn(command, [join(EXAMPLES, program)], {
    env: {
      ...process.env,
      DATABASE_URL: databaseUrl,
      PORT: String(port),
      ...(PYTHON_PACKAGES !== undefined && { PYTHONPATH: PYTHON_PACKAGES }),
      PYTHONDONTWRITEBYTECODE: '1',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // A test that fails must not leave a process behind.
  const killAtExit = () => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  child.once('exit', () => process.off('exit', killAtExit));
  return child;
}

async function listeningPort(child: ChildProcess, lines: string[]): Promise<number> {
  let port = 0;
  for (const output of [child.stdout, child.stderr]) {
    if (!output) continue;
    createInterface({ input: output }).on('line', (line) => {
      const found = /^listening on (\d+)$/.exec(line);
      if (found) port = Number(found[1]);
      else lines.push(line);
    });
  }
  await until(
    () => port > 0 || child.exitCode !== null,
    () => `the order service:\n${lines.join('\n')}`,
  );
  if (port === 0) throw new Error(`The order service has ended:\n${lines.join('\n')}`);
  return port;
}

/** What the service answered. */
export interface OrderAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** An order, or an error. */
  readonly body: Order & { readonly code?: string; readonly retryable?: boolean };
}

/** One request; a text as the body goes out as it is. */
export async function send(
  url: string,
  path: string,
  { key, body, headers = {} }: { key?: string; body?: unknown; headers?: Record<string, string> },
): Promise<OrderAnswer> {
  const answer = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(key !== undefined && { 'idempotency-key': key }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return {
    status: answer.status,
    headers: answer.headers,
    body: (await answer.json()) as OrderAnswer['body'],
  };
}

/** What a client does: the same request with the same key, until an answer comes that is none of a fault. */
export async function sendUntilAnswered(
  url: string,
  path: string,
  key: string,
  body?: unknown,
): Promise<OrderAnswer> {
  while (true) {
    const answer = await send(url, path, { key, body }).catch(() => undefined);
    if (answer && answer.status < 500) return answer;
    await sleep(RETRY_MS);
  }
}

/** Runs statements as somebody beside the service would. @returns the rows of the last one */
export async function query<Row>(databaseUrl: string, sql: string): Promise<Row[]> {
  if (databaseUrl.startsWith('sqlite:')) {
    const file = new Database(databaseUrl.slice('sqlite:'.length));
    try {
      if (!/^select/i.test(sql)) file.exec(sql);
      else return file.prepare(sql).all() as Row[];
      return [];
    } finally {
      file.close();
    }
  }
  const client = new Client({ connectionString: databaseUrl });
  // Tests kill the server; what the query throws is enough.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(sql)).rows as Row[];
  } finally {
    await client.end();
  }
}

/** Every order, by its id. */
export async function allOrders(databaseUrl: string): Promise<Order[]> {
  return query(databaseUrl, 'SELECT id, version, status, customer, total FROM orders ORDER BY id');
}
