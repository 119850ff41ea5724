import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SupervisedProcess } from './supervised-process.mjs';

/*
 * These tests simulate Windows: `process.platform` says `win32`. They show which code runs there and
 * that it ends what it should. They do not show what Windows itself does.
 */
const WINDOWS = `data:text/javascript,Object.defineProperty(process,'platform',{value:'win32'})`;
const GUARD = fileURLToPath(new URL('guard.mjs', import.meta.url));
const PARENT_WATCH = new URL('parent-watch.mjs', import.meta.url).href;

const LISTENER = `process.on('SIGTERM', () => {
  console.log('in order');
  process.exit(0);
});
setInterval(() => {}, 1000);
console.log('ready');`;

let folder: string;
let child: ChildProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-windows-'));
});
afterEach(() => {
  child?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function spawnOnWindows(args: string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
  child = spawn(process.execPath, ['--import', WINDOWS, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  return child;
}

async function nextOutput({ stdout }: ChildProcess): Promise<string> {
  return stdout === null ? '' : String(await once(stdout, 'data'));
}

describe.skipIf(process.platform === 'win32')('the launcher as on Windows', () => {
  test('guard: its launcher is gone: the program ends with all that it started', async () => {
    const calls = join(folder, 'calls');
    const taskkill = join(folder, 'taskkill');
    writeFileSync(taskkill, `#!/bin/sh\necho "$@" >> ${calls}\nkill -9 -"$2"\n`);
    chmodSync(taskkill, 0o755);
    const path = `${folder}${delimiter}${process.env.PATH}`;
    const guard = spawnOnWindows([GUARD, 'sh', '-c', 'sleep 30 & wait'], {
      ...process.env,
      PATH: path,
    });
    const [{ pid }] = (await once(guard, 'message')) as [{ pid: number }];
    guard.disconnect();
    await once(guard, 'exit');
    expect(readFileSync(calls, 'utf8')).toContain(`/pid ${pid} /t /f\n`);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  test('service: its launcher is gone: it ends in order', async () => {
    const service = spawnOnWindows(['--import', PARENT_WATCH, '--eval', LISTENER]);
    expect(await nextOutput(service)).toBe('ready\n');
    service.disconnect();
    expect(await nextOutput(service)).toBe('in order\n');
    expect(await once(service, 'exit')).toEqual([0, null]);
  });

  test('supervised process: stopped in order, without a signal', async () => {
    const lines: string[] = [];
    let isReady = () => {};
    const ready = new Promise<void>((resolve) => {
      isReady = resolve;
    });
    const supervised = new SupervisedProcess({
      name: 'service',
      command: process.execPath,
      args: ['--import', WINDOWS, '--import', PARENT_WATCH, '--eval', LISTENER],
      env: process.env,
      cwd: folder,
      onLine(line) {
        lines.push(line);
        isReady();
      },
      onDeath() {},
    });
    supervised.start();
    await ready;
    const { platform } = process;
    Object.defineProperty(process, 'platform', { value: 'win32' });
    try {
      expect(await supervised.stop(10_000)).toBe(true);
    } finally {
      Object.defineProperty(process, 'platform', { value: platform });
    }
    expect(lines).toEqual(['ready', 'in order']);
  });
});
