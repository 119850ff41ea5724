import { setTimeout as sleep } from 'node:timers/promises';
import { TidemarkError } from '@tidemark/protocol';
import { Metrics } from '@tidemark/telemetry';
import { expect, test } from 'vitest';
import { Limits } from './limits.ts';

async function hits(metrics: Metrics, limit: string): Promise<number> {
  const text = await metrics.registry.metrics();
  return Number(
    new RegExp(`limits_hit_total\\{.*limit="${limit}".*\\} (\\d+)`).exec(text)?.[1] ?? 0,
  );
}

function makeLimits() {
  const metrics = new Metrics('test', { defaults: false });
  return { metrics, limits: new Limits(metrics) };
}

function thrownBy(run: () => void): TidemarkError {
  try {
    run();
  } catch (error) {
    return error as TidemarkError;
  }
  throw new Error('Nothing was thrown.');
}

test('rate: more than a second allows: refused with the time to wait, others are not', async () => {
  const { metrics, limits } = makeLimits();
  const rate = limits.rate('tests_per_second', { max: 3, of: 'tests' });
  for (let n = 0; n < 3; n++) rate.consume('alice');
  const error = thrownBy(() => rate.consume('alice'));
  expect(error).toBeInstanceOf(TidemarkError);
  expect(error.toBody()).toEqual({
    code: 'limit_exceeded',
    message: 'At most 3 tests are accepted in a second.',
    retryable: true,
    retryAfterSeconds: 1,
  });
  rate.consume('bob', 3);
  expect(await hits(metrics, 'tests_per_second')).toBe(1);
  await sleep(1100);
  rate.consume('alice', 3);
});

test('failures: as many as a second allows: not tried any more, and then again; others are', async () => {
  const { metrics, limits } = makeLimits();
  const failures = limits.failures('failures_per_second', { max: 2, of: 'failures' });
  for (let n = 0; n < 2; n++) {
    failures.check('alice');
    failures.note('alice');
  }
  const error = thrownBy(() => failures.check('alice'));
  expect(error).toMatchObject({ code: 'limit_exceeded', details: { retryAfterSeconds: 1 } });
  failures.check('bob');
  expect(await hits(metrics, 'failures_per_second')).toBe(1);
  await sleep(1100);
  failures.check('alice');
});

test('semaphore: all taken: refused until one is given back, which counts once', async () => {
  const { metrics, limits } = makeLimits();
  const semaphore = limits.semaphore('tests', { max: 2, of: 'tests' });
  const release = semaphore.acquire('alice');
  semaphore.acquire('alice');
  expect(() => semaphore.acquire('alice')).toThrow('At most 2 tests are accepted at once.');
  semaphore.acquire('bob');
  release();
  release();
  semaphore.acquire('alice');
  expect(() => semaphore.acquire('alice')).toThrow(TidemarkError);
  expect(await hits(metrics, 'tests')).toBe(2);
  expect(await metrics.registry.metrics()).toMatch(/limits_held\{.*limit="tests".*\} 3\n/);
});

test('semaphore: taken and given by key: counts with what is acquired', async () => {
  const { metrics, limits } = makeLimits();
  const semaphore = limits.semaphore('tests', { max: 2, of: 'tests' });
  semaphore.take('alice');
  const release = semaphore.acquire('alice');
  expect(() => semaphore.take('alice')).toThrow('At most 2 tests are accepted at once.');
  expect(await hits(metrics, 'tests')).toBe(1);
  release();
  semaphore.take('alice');
  semaphore.give('alice');
  semaphore.give('alice');
  expect(await metrics.registry.metrics()).toMatch(/limits_held\{.*limit="tests".*\} 0\n/);
  semaphore.acquire('alice', 2);
});
