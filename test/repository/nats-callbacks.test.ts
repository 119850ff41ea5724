import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

/* The NATS client swallows what callbacks throw. `NatsLink.subscribe` is the one place that gives it any. */

const ROOT = new URL('../../', import.meta.url);

test('callbacks of the NATS client: only NatsLink hands them over, where each is guarded', () => {
  const sources = globSync('{libs,services}/*/src/**/*.ts', { cwd: ROOT }).filter((path) => {
    if (path.endsWith('.test.ts')) return false;
    return /\bcallback[:(]/.test(readFileSync(new URL(path, ROOT), 'utf8'));
  });
  expect(sources).toEqual(['libs/nats/src/link.ts']);
});
