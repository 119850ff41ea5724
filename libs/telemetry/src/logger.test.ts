import { expect, test } from 'vitest';
import { escapeMisleading, TurnLines } from './logger.ts';

test('log line: characters that hide or turn text around: escaped, and read as they were', () => {
  const sub = 'a\u202eb\u200bc\u2028d\u009b2J\u{e0041}é😀';
  const line = escapeMisleading(JSON.stringify({ sub }));
  expect(line).toMatch(/^[\x20-\x7eé😀]+$/u);
  expect(JSON.parse(line)).toEqual({ sub });
});

test('log lines of one turn: written together and in order, at the latest after the turn; many at once: earlier', async () => {
  const written: string[] = [];
  const lines = new TurnLines((text) => void written.push(text));
  lines.write('a\n');
  lines.write('b\n');
  expect(written).toEqual([]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(written).toEqual(['a\nb\n']);
  lines.write('c\n');
  lines.flush();
  expect(written).toEqual(['a\nb\n', 'c\n']);
  lines.write('x'.repeat(64 * 1024));
  expect(written.length).toBe(3);
  await new Promise((resolve) => setImmediate(resolve));
  expect(written.length).toBe(3);
});
