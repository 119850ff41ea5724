import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT } from './checkout.ts';
import { runProgram } from './run-program.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-program-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a program that prints lines to stderr, and ends with a code. */
function run(lines: readonly string[], code: number, onLine: (line: string) => void) {
  const file = join(folder, 'program.mjs');
  const print = lines.map((line) => `console.error(${JSON.stringify(line)});`).join('\n');
  writeFileSync(file, `${print}\nprocess.exitCode = ${code};\n`);
  const { signal } = new AbortController();
  const path = relative(ROOT, file);
  return runProgram({ path, args: [], environment: process.env, signal, onLine });
}

test('a program that warns: each line is told, wherever the warning stands', async () => {
  for (const lines of [
    ['tidemark: beware', 'done'],
    ['begun', 'tidemark: beware'],
  ]) {
    const heard: string[] = [];
    await run(lines, 0, (line) => heard.push(line));
    expect(heard).toEqual(lines);
  }
});

test('a program that fails: its failure is thrown, and not told beside that', async () => {
  const heard: string[] = [];
  const lines = ['tidemark: beware', 'begun', 'tidemark: It failed.'];
  await expect(run(lines, 1, (line) => heard.push(line))).rejects.toThrow(/^It failed\.$/);
  expect(heard).toEqual(lines.slice(0, 2));
});
