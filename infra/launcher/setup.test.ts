import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { dependenciesAreCurrent } from './setup.mjs';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tidemark-setup-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function writeLock(version: string): void {
  const packages = {
    '': { name: 'root' },
    'libs/one': { version: '0.1.0' },
    'node_modules/one': { link: true },
    'node_modules/pino': { version },
    'node_modules/for-another-platform': { version: '1.0.0', optional: true },
  };
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages }));
}

/** As npm does when it has installed. */
function install(version: string): void {
  mkdirSync(join(root, 'node_modules', 'one'), { recursive: true });
  const record = { packages: { 'node_modules/pino': { version } } };
  writeFileSync(join(root, 'node_modules', '.package-lock.json'), JSON.stringify(record));
}

test('set-up: nothing installed: dependencies are not current', () => {
  writeLock('1.0.0');
  expect(dependenciesAreCurrent(root)).toBe(false);
});

test('set-up: an npm install by hand: current, and a stamp says so from then on', () => {
  writeLock('1.0.0');
  install('1.0.0');
  expect(dependenciesAreCurrent(root)).toBe(true);
  rmSync(join(root, 'node_modules', '.package-lock.json'));
  expect(dependenciesAreCurrent(root)).toBe(true);
});

test('set-up: the lock names another version than is installed: stale', () => {
  writeLock('1.0.0');
  install('1.0.0');
  expect(dependenciesAreCurrent(root)).toBe(true);
  writeLock('1.0.1');
  expect(dependenciesAreCurrent(root)).toBe(false);
});

test('set-up: a workspace that is not linked: stale', () => {
  writeLock('1.0.0');
  install('1.0.0');
  rmSync(join(root, 'node_modules', 'one'), { recursive: true });
  expect(dependenciesAreCurrent(root)).toBe(false);
});
