import { expect, test } from 'vitest';
import { check } from './check.ts';
import { fakeRun } from './fake-run.ts';

const SEEDS = Array.from({ length: 40 }, (_, index) => index + 1);

test.each([true, false])(
  'check: histories without errors, with losses %s: finds nothing',
  (losses) => {
    let deliveries = 0;
    const exceptions = new Set<string>();
    for (const seed of SEEDS) {
      const { records, final } = fakeRun({ seed, losses });
      const report = check({ records: () => records, final: () => final });
      expect(report.first?.timeline.join('\n'), `seed ${seed}`).toBeUndefined();
      deliveries += report.deliveries;
      for (const name of Object.keys(report.exceptions)) exceptions.add(name);
    }
    expect(deliveries).toBeGreaterThan(10_000);
  },
);
