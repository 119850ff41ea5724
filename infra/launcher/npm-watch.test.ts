import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findNpm, lookupOn } from './npm-watch.mjs';

let folder: string;
let npm: ChildProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-npm-watch-'));
});
afterEach(() => {
  npm?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const TREE = new Map([
  [40, { parent: 30, name: 'run' }],
  [30, { parent: 20, name: 'sh' }],
  [20, { parent: 10, name: 'npm start' }],
  [10, { parent: 1, name: 'bash' }],
]);
const lookup = async (pid: number) => TREE.get(pid);

test('npm is found behind the shells; the shell that started npm is not watched', async () => {
  expect(await findNpm(40, lookup)).toEqual([40, 30, 20]);
  expect(await findNpm(20, lookup)).toEqual([20]);
});

test('a parent that cannot be looked up, or whose parent is init: the search ends there', async () => {
  expect(await findNpm(50, lookup)).toEqual([50]);
  expect(await findNpm(10, lookup)).toEqual([10]);
});

describe.skipIf(process.platform === 'win32')('lookup of a process', () => {
  test.each(['linux', 'darwin'] as const)('%s: its parent and its program', async (platform) => {
    const look = lookupOn(platform);
    const shell = spawn('sh', ['-c', 'sleep 30; true'], { detached: true });
    expect(await look(shell.pid ?? 0)).toMatchObject({ parent: process.pid, name: 'sh' });
    process.kill(-(shell.pid ?? 0), 'SIGKILL');
    await once(shell, 'exit');
    expect(await look(shell.pid ?? 0)).toBeUndefined();
  });

  test('Windows: what PowerShell says of it', async () => {
    const powerShell = join(folder, 'powershell.exe');
    writeFileSync(
      powerShell,
      `#!/bin/sh
case "$3" in *ProcessId=40*) printf '30 CMD.exe\\r\\n';; esac`,
    );
    chmodSync(powerShell, 0o755);
    const { PATH } = process.env;
    process.env.PATH = `${folder}${delimiter}${PATH}`;
    try {
      expect(await lookupOn('win32')(40)).toEqual({ parent: 30, name: 'cmd.exe' });
      expect(await lookupOn('win32')(50)).toBeUndefined();
    } finally {
      process.env.PATH = PATH;
    }
  });

  test.each(['linux', 'darwin'] as const)(
    '%s: npm is killed behind two shells: told',
    async (platform) => {
      const module = new URL('npm-watch.mjs', import.meta.url).href;
      const script = join(folder, 'script.mjs');
      writeFileSync(
        script,
        `import { watchNpm } from ${JSON.stringify(module)};
      watchNpm(() => {
        console.log('gone');
        process.exit();
      }, ${JSON.stringify(platform)});
      setTimeout(() => console.log('watching'), 300);
      setTimeout(() => {}, 20_000);`,
      );
      const shells = `sh -c '"${process.execPath}" ${script}; true'; true`;
      const code = `require('child_process').spawn('sh', ['-c', ${JSON.stringify(shells)}], { stdio: 'inherit' })`;
      npm = spawn(process.execPath, ['--eval', code], {
        env: { ...process.env, npm_lifecycle_event: 'start' },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const output = npm.stdout;
      if (output === null) throw new Error('No output');
      expect(String(await once(output, 'data'))).toBe('watching\n');
      npm.kill('SIGKILL');
      expect(String(await once(output, 'data'))).toBe('gone\n');
    },
  );
});
