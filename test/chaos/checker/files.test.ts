import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { fakeRun } from './fake-run.ts';
import { checkHistory, openHistory } from './files.ts';

test('histories: in several files, one of them cut in a line: are read in the order of their times', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-history-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const { records, final } = fakeRun({ seed: 2, steps: 300 });
  const write = (name: string, lines: readonly object[], rest = '') =>
    writeFileSync(
      join(folder, name),
      `${lines.map((line) => JSON.stringify(line)).join('\n')}\n${rest}`,
    );
  const isPublish = ({ kind }: { kind: string }) => kind.startsWith('publish-');
  write('publishers.jsonl', records.filter(isPublish), '{"kind":"publish-att');
  write(
    'clients.jsonl',
    records.filter((record) => !isPublish(record)),
  );
  write('final.jsonl', final);

  const times = [...openHistory(folder).records()].map(({ atMs }) => atMs);
  expect(times).toHaveLength(records.length);
  expect(times).toEqual(times.toSorted((one, other) => one - other));
  const report = await checkHistory(folder);
  expect(report.violations).toEqual({});
  expect(report.deliveries).toBeGreaterThan(100);
});
