import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/* PROTOCOL.md section 8.2 names each limit as its counter does. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Finds the name of each limit that the code counts. */
const COUNTED =
  /(?:\.hit|\.rate|\.semaphore|\.failures|\.budget)\(\s*'(\w+)'|\blimit: '(\w+)'|connectionLimit\('(\w+)'|: \['(\w+)', 4\d\d\]|WS_ERR_\w+: '(\w+)'/g;

function sources(): string {
  return ['libs', 'services']
    .flatMap((folder) => readdirSync(join(ROOT, folder)).map((part) => join(folder, part, 'src')))
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true }).map((file) =>
        join(folder, String(file)),
      ),
    )
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => readFileSync(join(ROOT, file), 'utf8'))
    .join('\n');
}

function documented(): { names: string[]; metrics: string[] } {
  const text = readFileSync(join(ROOT, 'libs/protocol/PROTOCOL.md'), 'utf8');
  const [, table = ''] =
    /\| what \| limit \| at the limit \| counted as \|\n(.*?)\n\n/s.exec(text) ?? [];
  const last = table.split('\n').map((row) => row.split('|').at(-2) ?? '');
  const all = last.flatMap((cell) =>
    [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => String(name)),
  );
  const metrics = all.filter((name) => name.startsWith('tidemark_'));
  return { metrics, names: all.filter((name) => !metrics.includes(name)) };
}

test('limits: each that is counted has its row, and each row is counted', () => {
  const counted = new Set(
    [...sources().matchAll(COUNTED)].map((match) => match.slice(1).find(Boolean)),
  );
  expect([...new Set(documented().names)].sort()).toEqual([...counted].sort());
  expect(counted.size).toBeGreaterThan(20);
});

test('limits: those with a counter of their own: it exists', () => {
  const code = sources();
  const { metrics } = documented();
  expect(metrics).toHaveLength(4);
  for (const metric of metrics) expect(code).toContain(`'${metric.replace('tidemark_', '')}'`);
});
