import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CHECKSUMS, verifyChecksums, writeChecksums } from './checksums.ts';

let folder: string;
const verify = () => verifyChecksums(folder, () => undefined);
const write = (name: string, text: string) => writeFileSync(join(folder, name), text);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-sums-'));
  write('a', '1');
  write('b', '2');
  await writeChecksums(folder, () => undefined);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('sums that were written: are right', async () => {
  await expect(verify()).resolves.toBeUndefined();
});

test.each([
  ['a file that was changed', () => write('a', '3'), 'a of the backup has been changed'],
  ['a file that is missing', () => rmSync(join(folder, 'b')), 'lacks its file b'],
  ['a file without a sum', () => write('c', '3'), 'c of the backup has no sum'],
  ['no sums', () => rmSync(join(folder, CHECKSUMS)), 'is no backup'],
  ['sums that are no object', () => write(CHECKSUMS, 'null'), 'is no backup'],
  ['sums of nothing', () => write(CHECKSUMS, '{}'), 'is no backup'],
])('%s: is told', async (_what, change, words) => {
  change();
  await expect(verify()).rejects.toThrow(words);
});
