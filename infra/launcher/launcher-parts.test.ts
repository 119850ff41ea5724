import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { consoleSettings, traceSettings } from './console.mjs';
import { parseDuration } from './duration.mjs';
import { makePrivate, makeWritable } from './folders.mjs';
import { cachedJaeger } from './jaeger.mjs';
import { takeLock } from './lock.mjs';
import { readable } from './log-lines.mjs';
import { freePorts } from './ports.mjs';
import { createSecret, currentSecret, secretFile } from './secret.mjs';
import { restartDelayMs } from './supervised-process.mjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-launcher-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('restart: deaths one after another: the delay doubles up to 30 s', () => {
  expect([1, 2, 3, 4, 5, 6, 50].map(restartDelayMs)).toEqual([
    1000, 2000, 4000, 8000, 16_000, 30_000, 30_000,
  ]);
});

test('lock: held by another: refused until it is released', async () => {
  const release = await takeLock(folder, 'test');
  expect(await takeLock(folder, 'test')).toBeUndefined();
  expect(await takeLock(folder, 'another purpose')).toBeDefined();
  await release?.();
  expect(await takeLock(folder, 'test')).toBeDefined();
});

test('lock: its holder killed: free', async () => {
  const lock = new URL('lock.mjs', import.meta.url).href;
  const code = `import(${JSON.stringify(lock)}).then(async ({ takeLock }) => {
    console.log(typeof (await takeLock(${JSON.stringify(folder)}, 'test')));
    setInterval(() => {}, 1000);
  });`;
  const holder = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [text] = await once(holder.stdout, 'data');
  expect(String(text).trim()).toBe('function');
  expect(await takeLock(folder, 'test')).toBeUndefined();
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  expect(await takeLock(folder, 'test')).toBeDefined();
});

test('lock: another user has taken what its name may be among temporary files: it is free', async () => {
  const hash = createHash('sha256')
    .update(`test ${realpathSync(folder)}`)
    .digest('hex');
  const other = createServer().listen(join(tmpdir(), `tidemark-${hash.slice(0, 16)}.sock`));
  await once(other, 'listening');
  expect(await takeLock(folder, 'test')).toBeDefined();
  other.close();
});

const REMEDY = 'do something else';
const OTHER_USER = 12_345;

test('data folder: a link that somebody has left under the name of the probe: what it leads to stays', () => {
  const victim = join(folder, 'victim');
  writeFileSync(victim, 'mine');
  symlinkSync(victim, join(folder, `.writable-${process.pid}`));
  makeWritable(folder, REMEDY);
  expect(readFileSync(victim, 'utf8')).toBe('mine');
});

test.skipIf(!process.getuid)('data folder: of another user: refused, and unchanged', () => {
  const data = join(folder, 'data');
  mkdirSync(data, { mode: 0o777 });
  chmodSync(data, 0o777);
  const me = process.getuid?.() ?? 0;
  chown(data, me || OTHER_USER);
  expect(() => makePrivate(data, REMEDY, OTHER_USER + 1)).toThrow(/belongs to another user/);
  expect(statSync(data).mode & 0o777).toBe(0o777);
});

// Only root can give files to others.
test.skipIf(process.getuid?.() !== 0).each(['token-secret', 'archive.db', 'link'])(
  'data folder: others could write there, and one has left %s: refused',
  (name) => {
    const data = join(folder, 'data');
    mkdirSync(data);
    chown(data, OTHER_USER);
    const left = join(data, name);
    if (name === 'link') symlinkSync('/etc/hostname', left);
    else writeFileSync(left, 'x');
    chown(left, OTHER_USER);
    makePrivate(data, REMEDY, OTHER_USER);
    chown(left, OTHER_USER + 1);
    expect(() => makePrivate(data, REMEDY, OTHER_USER)).toThrow(/belongs to another user/);
    expect(statSync(data).mode & 0o777).toBe(0o700);
  },
);

function chown(path: string, user: number): void {
  lchownSync(path, user, -1);
}

test('ports: zeros: different free ports', async () => {
  const wanted = ['one', 'two'].map((name) => ({
    name,
    variable: 'TIDEMARK_X_PORT',
    port: 0,
    host: '127.0.0.1',
  }));
  const { one, two } = await freePorts(wanted);
  expect(one).toBeGreaterThan(0);
  expect(two).toBeGreaterThan(0);
  expect(one).not.toBe(two);
});

test('ports: one is taken: a sentence with the port and its variable', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as { port: number };
  const wanted = [{ name: 'one', variable: 'TIDEMARK_ONE_PORT', port, host: '127.0.0.1' }];
  await expect(freePorts(wanted)).rejects.toThrow(
    `Port ${port} on 127.0.0.1 is taken by another process; one needs it; change TIDEMARK_ONE_PORT.`,
  );
  holder.close();
});

test('secret: created twice: the first stays, for the owner alone', () => {
  createSecret(folder);
  const secret = currentSecret({}, folder);
  createSecret(folder);
  expect(currentSecret({}, folder)).toBe(secret);
  expect(Buffer.from(secret, 'base64url')).toHaveLength(32);
  expect(readFileSync(secretFile(folder), 'utf8').trim()).toBe(secret);
  expect(statSync(secretFile(folder)).mode & 0o777).toBe(0o600);
});

test('secret: set in the environment: taken before the created one', () => {
  createSecret(folder);
  expect(currentSecret({ TIDEMARK_TOKEN_SECRET: 'from outside' }, folder)).toBe('from outside');
});

test('secret: neither set nor created: a sentence that says how', () => {
  expect(() => currentSecret({}, folder)).toThrow('`npm start` creates it');
});

test('durations: units: seconds', () => {
  expect(['90s', '15m', '1h', '30d'].map(parseDuration)).toEqual([90, 900, 3600, 2_592_000]);
  for (const text of ['', '1', '0s', '-1h', '1.5h', '1w', 'h']) {
    expect(() => parseDuration(text)).toThrow('not a duration');
  }
});

test('log lines: JSON of a service: time, name, level, text and fields', () => {
  const line = JSON.stringify({ level: 40, time: 1, service: 'ingest', msg: 'away', tries: 3 });
  expect(readable('ingest', line)).toMatch(/^\d\d:\d\d:\d\d ingest {3}WARN away tries=3$/);
  expect(readable('ingest', '{ no JSON')).toMatch(/ingest {3}\{ no JSON$/);
});

test('log lines: what a client chose: shown escaped, on the one line', () => {
  const id = 'a\n00:00:00 ingest   revoked\u001b[2J\u202e\u200b\u2028';
  const line = readable('gateway', JSON.stringify({ level: 30, msg: 'subscribed', id }));
  expect(line).toMatch(
    /gateway {2}subscribed id=a\\u\{a\}00:00:00 ingest {3}revoked\\u\{1b\}\[2J\\u\{202e\}\\u\{200b\}\\u\{2028\}$/,
  );
  const err = { stack: `Error: ${id}\n    at here` };
  const faulty = readable('gateway', JSON.stringify({ level: 50, msg: 'failed', err }));
  expect(faulty?.split('\n').slice(1)).toEqual([
    '  Error: a',
    '  00:00:00 ingest   revoked\\u{1b}[2J\\u{202e}\\u{200b}\\u{2028}',
    '      at here',
  ]);
  expect(readable('nats', '[7] 2026/01/31 12:00:00.000001 [WRN] x\u001b[2J')).not.toContain(
    '\u001b',
  );
});

test('log lines: nats-server: warnings are shown, what is usual is not', () => {
  expect(readable('nats', '[7] 2026/01/31 12:00:00.000001 [INF] Server is ready')).toBeUndefined();
  expect(readable('nats', '[7] 2026/01/31 12:00:00.000001 [WRN] low on disk')).toMatch(
    /nats {5}WRN low on disk$/,
  );
});

describe('settings for the page of the console', () => {
  const ports = { page: 8080, replay: 8082 };

  test('npm start: replay takes both names of the page, and the page knows replay', () => {
    expect(consoleSettings({}, ports)).toEqual({
      gateway: { TIDEMARK_GATEWAY_CONSOLE_REPLAY_URL: 'http://127.0.0.1:8082' },
      replay: { TIDEMARK_ALLOWED_ORIGINS: 'http://127.0.0.1:8080,http://localhost:8080' },
    });
  });

  test('own origins and address in the environment: they count, and the page too', () => {
    const environment = {
      TIDEMARK_ALLOWED_ORIGINS: 'https://app.example',
      TIDEMARK_GATEWAY_CONSOLE_REPLAY_URL: 'https://replay.example',
    };
    const origins = {
      TIDEMARK_ALLOWED_ORIGINS: 'https://app.example,http://127.0.0.1:8080,http://localhost:8080',
    };
    expect(consoleSettings(environment, ports)).toEqual({
      gateway: { TIDEMARK_GATEWAY_CONSOLE_REPLAY_URL: 'https://replay.example', ...origins },
      replay: origins,
    });
  });

  test('behind nginx: nothing, unless origins are listed', () => {
    expect(consoleSettings({}, { page: 8116 })).toEqual({ gateway: {}, replay: {} });
    const environment = { TIDEMARK_ALLOWED_ORIGINS: 'https://app.example' };
    const { replay } = consoleSettings(environment, { page: 8116 });
    expect(replay.TIDEMARK_ALLOWED_ORIGINS).toContain(',http://localhost:8116');
  });

  test('traces: the Jaeger that tests built has no pages', () => {
    const environment = { HOME: '/home/somebody' };
    const built = traceSettings(environment, cachedJaeger(environment), 16686);
    expect(built.TIDEMARK_GATEWAY_JAEGER_PAGE).toBe('http://127.0.0.1:16686/api/traces');
    const other = traceSettings(environment, '/usr/bin/jaeger', 16686);
    expect(other.TIDEMARK_GATEWAY_JAEGER_PAGE).toBe('http://127.0.0.1:16686/trace');
  });
});
