import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Words that are no longer used here, and the glossary's word for each. */
const RETIRED: Readonly<Record<string, string>> = {
  cohort: 'subscriber group',
  lane: 'catch-up reader',
  dialect: 'encoder',
  outlet: 'sink',
  gatherer: 'write buffer',
  farewell: 'transport control',
  shaken: 'accepted',
  shelf: 'archive store',
  facet: 'filter',
  tally: 'histogram',
  receipt: 'delivery trace',
  pace: 'rate or scheduler',
  paced: 'scheduled',
  intake: 'slice of the feed',
  administration: 'admin',
};

const SKIPPED = new Set(['node_modules', 'dist', 'data', '.git']);
const EXTENSIONS = /\.(?:ts|mjs|md|json|ya?ml)$/;
const SELF = fileURLToPath(import.meta.url);

test('retired words: identifiers and documents: hold none of them', () => {
  const found = textFiles(ROOT)
    .filter((file) => file !== SELF && !file.endsWith('package-lock.json'))
    .flatMap((file) => {
      const words = new Set(wordsOf(`${relative(ROOT, file)}\n${readFileSync(file, 'utf8')}`));
      return Object.keys(RETIRED)
        .filter((word) => words.has(word) || words.has(`${word}s`))
        .map((word) => `${relative(ROOT, file)}: ${word}; say ${RETIRED[word]}`);
    });
  expect(found).toEqual([]);
});

function textFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : textFiles(path);
    return EXTENSIONS.test(entry.name) ? [path] : [];
  });
}

/** The words of a text in lower case; `startLane` counts as two words. */
function wordsOf(text: string): string[] {
  return text
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z]+/);
}
