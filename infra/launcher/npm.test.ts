import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { npmCommand } from './npm.mjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-npm-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function writeScript(name: string): string {
  const script = join(folder, name);
  writeFileSync(script, '');
  return script;
}

for (const platform of ['linux', 'win32'] as const) {
  test(`npm, ${platform}: started by npm: its own JavaScript on this Node`, () => {
    const script = writeScript('npm-cli.js');
    const environment = { npm_execpath: script };
    expect(npmCommand(['ci'], { environment, platform })).toEqual({
      command: process.execPath,
      args: [script, 'ci'],
    });
  });
}

test('npm: started by another package manager, or by an npm that is gone: the one on the PATH', () => {
  for (const npm_execpath of [writeScript('yarn.js'), join(folder, 'gone', 'npm-cli.js')]) {
    const where = { environment: { npm_execpath }, platform: 'linux' } as const;
    expect(npmCommand(['ci'], where)).toEqual({ command: 'npm', args: ['ci'] });
  }
});

test('npm, Windows: not started by npm: through the command interpreter, for npm is a batch file', () => {
  const platform = 'win32';
  const environment = { ComSpec: 'C:\\Windows\\system32\\cmd.exe' };
  expect(npmCommand(['ci', '--no-audit'], { environment, platform })).toEqual({
    command: environment.ComSpec,
    args: ['/d', '/c', 'npm', 'ci', '--no-audit'],
  });
  expect(npmCommand(['ci'], { environment: {}, platform }).command).toBe('cmd.exe');
});
