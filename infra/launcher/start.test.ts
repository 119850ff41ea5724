import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect as connectToNats } from '@nats-io/transport-node';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const START = fileURLToPath(new URL('start.mjs', import.meta.url));
const WAIT_MS = 40_000;
const POLL_MS = 50;

/** A running `npm start`, and all that it has printed. */
class Launch {
  output = '';
  readonly process: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(folder: string, env: Record<string, string> = {}) {
    this.process = spawn(process.execPath, [START], {
      env: {
        ...process.env,
        TIDEMARK_DATA: folder,
        TIDEMARK_NATS_PORT: '0',
        TIDEMARK_GATEWAY_PORT: '0',
        TIDEMARK_INGEST_PORT: '0',
        TIDEMARK_REPLAY_PORT: '0',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#ended = once(this.process, 'exit');
    this.process.stdout?.on('data', (chunk) => {
      this.output += chunk;
    });
    this.process.stderr?.on('data', (chunk) => {
      this.output += chunk;
    });
  }

  async says(text: string | RegExp): Promise<void> {
    await until(() => this.output.search(text) !== -1, `${text}`).catch((error) => {
      throw new Error(`${error.message}; it says:\n${this.output}`);
    });
  }

  async end(signal?: NodeJS.Signals): Promise<number | null> {
    if (signal) this.process.kill(signal);
    await this.#ended;
    return this.process.exitCode;
  }

  get ports(): number[] {
    const lines = /^ {2}(?:gateway|ingest|replay|NATS) .*?:(\d+)\b/gm;
    return [...this.output.matchAll(lines)].map(([, port]) => Number(port));
  }

  url(service: string): string {
    return new RegExp(`^ {2}${service} +(\\S+)`, 'm').exec(this.output)?.[1] ?? '';
  }

  get authorization(): Record<string, string> {
    return { authorization: `Bearer ${/export TOKEN=(\S+)/.exec(this.output)?.[1]}` };
  }

  /** The requests that it prints to try, with the link to the trace of each. */
  get samples(): { url: string; init: RequestInit; link: string }[] {
    const printed = this.output.matchAll(/ {2}curl (.*?)\n\n {2}and its trace: (\S+)/gs);
    return [...printed].map(([, request = '', link = '']) => {
      const headers = [...request.matchAll(/-H "([\w-]+): ([^"]+)"/g)].map(
        ([, name = '', value = '']): [string, string] => [name, value],
      );
      const body = /-d '(.+)'/.exec(request)?.[1];
      const given = headers.filter(([, value]) => !/CURSOR|\$TOKEN/.test(value));
      const init = { headers: { ...Object.fromEntries(given), ...this.authorization } };
      const url = /http:[^" ]+/.exec(request)?.[0] ?? '';
      return { url, link, init: body === undefined ? init : { ...init, method: 'POST', body } };
    });
  }

  async emit(id: string): Promise<number> {
    const { status } = await fetch(`${this.url('ingest')}/v1/events`, {
      method: 'POST',
      headers: { ...this.authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ id, type: 'order.paid', topic: 'orders.42' }),
    });
    return status;
  }

  async history(): Promise<string[]> {
    const url = `${this.url('replay')}/v1/events?topics=orders.42`;
    const answer = await fetch(url, { headers: this.authorization });
    const page = (await answer.json()) as { items: { event: { id: string } }[] };
    return page.items.map(({ event }) => event.id);
  }
}

let folder: string;
let launches: Launch[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-start-'));
  launches = [];
});

afterEach(async () => {
  for (const launched of launches) launched.process.kill('SIGKILL');
  await allClosed(launches.flatMap(({ ports }) => ports));
  rmSync(folder, { recursive: true, force: true });
});

function launch(env?: Record<string, string>): Launch {
  const started = new Launch(folder, env);
  launches.push(started);
  return started;
}

describe('npm start', () => {
  test('ready, ended by SIGTERM, started again: parts end in order, the events are still there', async () => {
    const first = await ready();
    expect(await first.emit('before')).toBe(201);
    expect(statSync(join(folder, 'token-secret')).mode & 0o777).toBe(0o600);
    const token = first.authorization;

    expect(await first.end('SIGTERM')).toBe(0);
    const ends = [...first.output.matchAll(/^\S+ (\w+) +stopping\b/gm)].map(([, name]) => name);
    expect(ends).toEqual(['gateway', 'ingest', 'replay']);
    await allClosed(first.ports);

    const second = await ready();
    expect(await second.emit('after')).toBe(201);
    await until(async () => (await second.history()).includes('after'), 'the second event');
    expect(await second.history()).toEqual(['before', 'after']);
    const withOldToken = await fetch(`${second.url('replay')}/v1/topics`, { headers: token });
    expect(withOldToken.status).toBe(200);
  });

  test('killed with SIGKILL: its children end too', async () => {
    const running = await ready();
    expect(running.ports).toHaveLength(4);
    await running.end('SIGKILL');
    await allClosed(running.ports);
  });

  test.runIf(existsSync('/proc'))('a part dies: started again, and the log says so', async () => {
    const running = await ready();
    const launcher = running.process.pid ?? 0;
    for (const part of ['services/gateway/', 'embedded.conf']) {
      const name = part === 'embedded.conf' ? 'nats' : 'gateway';
      const [pid = 0] = childrenOf(launcher, part);
      process.kill(pid, 'SIGKILL');
      await running.says(new RegExp(`${name} ended \\(SIGKILL\\) and starts again in 1 s`));
      await until(() => childrenOf(launcher, part).length === 1, `${part} again`);
    }
    await until(async () => (await running.emit('again')) === 201, 'an event stored');
    await until(() => isReady(running), 'a gateway that is ready');
  });

  test('NATS: a user for each service, on loopback only', async () => {
    const running = await ready();
    for (const service of ['gateway', 'ingest', 'replay']) {
      expect(running.output).toMatch(
        new RegExp(`${service} +connected to NATS .*user=tidemark-${service}$`, 'm'),
      );
    }
    const [port] = /^ {2}NATS .*:(\d+)/m.exec(running.output)?.slice(1) ?? [];
    const outside = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .find(({ internal, family }) => !internal && family === 'IPv4');
    for (const address of ['127.0.0.1', ...(outside ? [outside.address] : [])]) {
      expect(await isOpen(Number(port), address)).toBe(address === '127.0.0.1');
    }
    expect(running.output).not.toMatch(/violation/i);
  });

  test('NATS: nobody connects without a user, and only the owner reads the operator’s password', async () => {
    chmodSync(folder, 0o755);
    const running = await ready();
    const [servers = ''] = /nats:\/\/127.0.0.1:\d+/.exec(running.output) ?? [];
    await expect(connectToNats({ servers, reconnect: false })).rejects.toThrow(/authorization/i);
    const file = join(folder, 'nats-operator-password');
    const pass = readFileSync(file, 'utf8').trim();
    const operator = await connectToNats({ servers, user: 'tidemark-operator', pass });
    const info = await operator.request('$JS.API.STREAM.INFO.TIDEMARK_EVENTS', '');
    expect(info.json()).toHaveProperty('state');
    await operator.close();
    // A file that SQLite keeps beside the archive is there while replay runs.
    const modes = [
      '.',
      'nats-operator-password',
      'token-secret',
      'archive.db',
      'archive.db-wal',
    ].map((name) => (statSync(join(folder, name)).mode & 0o777).toString(8));
    expect(modes).toEqual(['700', '600', '600', '600', '600']);
  });

  test('a second start on the same data: one sentence and code 1', async () => {
    await ready();
    const second = launch();
    expect(await second.end()).toBe(1);
    expect(second.output).toBe(
      `tidemark: Tidemark already runs on ${folder}; stop it, or set TIDEMARK_DATA and other ports.\n`,
    );
  });

  test('a taken port: one sentence and code 1', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as { port: number };
    const refused = launch({ TIDEMARK_INGEST_PORT: String(port) });
    expect(await refused.end()).toBe(1);
    expect(refused.output).toBe(
      `tidemark: Port ${port} on 127.0.0.1 is taken by another process; ingest needs it; change TIDEMARK_INGEST_PORT.\n`,
    );
    holder.close();
  });

  test('a data folder that cannot be: one sentence and code 1', async () => {
    const refused = launch({ TIDEMARK_DATA: join(START, 'data') });
    expect(await refused.end()).toBe(1);
    expect(refused.output).toMatch(/^tidemark: The folder .* cannot be written \(ENOTDIR\); .*\n$/);
  });

  test('a setting that a service refuses: code 1 and nothing left', async () => {
    const refused = launch({ TIDEMARK_GATEWAY_HEARTBEAT: '1' });
    expect(await refused.end()).toBe(1);
    expect(refused.output).toContain('TIDEMARK_GATEWAY_HEARTBEAT_MS');
    expect(refused.output).toMatch(/tidemark: \w+ ended during its start \(code 1\)\.\n$/);
  });

  test.skipIf(!process.env.TIDEMARK_JAEGER_BIN)(
    'with a Jaeger (needs Jaeger): each sample request has a trace, and a link that shows it',
    async () => {
      const running = launch({ TIDEMARK_JAEGER_PORT: '0' });
      await running.says('Ctrl-C stops everything');
      expect(running.output.match(/and its trace: /g)).toHaveLength(5);
      const shown: string[][] = [];
      for (const { url, init, link } of running.samples) {
        const answer = await fetch(url, init);
        expect(answer.ok, url).toBe(true);
        // What goes on and on is shown all the same.
        await answer.body?.cancel();
        await until(async () => (await fetch(link)).ok, link);
        const { data } = (await (await fetch(link)).json()) as TraceAnswer;
        shown.push(data.flatMap(({ spans }) => spans.map(({ operationName }) => operationName)));
      }
      const first = ['GET /v1/sse', 'POST /v1/events', 'GET /v1/sse', 'GET /v1/events'];
      expect(shown).toEqual(first.map((name) => expect.arrayContaining([name])));
    },
  );

  test('an outside NATS server: used, and none is started', async () => {
    const refused = launch({ NATS_URL: 'nats://127.0.0.1:1' });
    await refused.says(/Starting …/);
    await refused.says(/replay +listening/);
    expect(await refused.end('SIGTERM')).toBe(0);
    expect(refused.output).not.toContain('nats-server');
    expect(existsSync(join(folder, 'nats'))).toBe(false);
  });
});

interface TraceAnswer {
  readonly data: readonly { readonly spans: readonly { readonly operationName: string }[] }[];
}

async function ready(): Promise<Launch> {
  const running = launch();
  await running.says('Tidemark is ready');
  return running;
}

async function isReady(running: Launch): Promise<boolean> {
  return fetch(`${running.url('gateway')}/readyz`).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** Process ids of the children of a process whose command line holds a text. */
function childrenOf(parent: number, text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        return Number(/\) \S (\d+) /.exec(stat)?.[1]) === parent && command.includes(text);
      } catch {
        return false;
      }
    });
}

async function allClosed(ports: readonly number[]): Promise<void> {
  for (const port of ports) await until(async () => !(await isOpen(port)), `port ${port} closed`);
}

function isOpen(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + WAIT_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Waited in vain for ${what}`);
    await sleep(POLL_MS);
  }
}
