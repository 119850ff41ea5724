import { expect, test } from 'vitest';
import { escapeMisleading } from './logger.ts';

test('log line: characters that hide or turn text around: escaped, and read as they were', () => {
  const sub = 'a\u202eb\u200bc\u2028d\u009b2J\u{e0041}é😀';
  const line = escapeMisleading(JSON.stringify({ sub }));
  expect(line).toMatch(/^[\x20-\x7eé😀]+$/u);
  expect(JSON.parse(line)).toEqual({ sub });
});
