import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fileStore } from './file.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-store-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('file store: a new process reads what the last one has written', async () => {
  const path = join(folder, 'cursors.json');
  const store = fileStore(path);
  expect(await store.get('a')).toBeUndefined();
  await Promise.all([store.set('a', 'log-1'), store.set('b', 'log-2'), store.set('a', 'log-3')]);
  expect(await fileStore(path).get('a')).toBe('log-3');
  expect(await fileStore(path).get('b')).toBe('log-2');
});

test('file store: file that is no JSON: is an error, and stays as it is', async () => {
  const path = join(folder, 'cursors.json');
  await writeFile(path, 'something else');
  const store = fileStore(path);
  await expect(store.get('a')).rejects.toThrow();
  await expect(store.set('a', 'log-1')).rejects.toThrow();
  expect(await readFile(path, 'utf8')).toBe('something else');
});
