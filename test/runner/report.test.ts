import { expect, test } from 'vitest';
import { count, format, lacking, sum } from './report.mjs';

test('test report: passed, failed, skipped, a file that broke: all counted', () => {
  const tests = (...statuses: string[]) => statuses.map((status) => ({ status }));
  const counts = count({
    testResults: [
      { status: 'passed', assertionResults: tests('passed', 'passed', 'pending', 'todo') },
      { status: 'failed', assertionResults: tests('passed', 'failed') },
      { status: 'failed', assertionResults: [] },
    ],
  });
  expect(counts).toEqual({ passed: 3, failed: 2, skipped: 2 });
  expect(format(sum([counts, counts]))).toBe('6 passed, 4 failed, 4 skipped');
});

test('test report: skipped tests whose names say what they need: counted by that', () => {
  const assertionResults = [
    { status: 'skipped', fullName: 'nginx (needs nginx) one' },
    { status: 'skipped', fullName: 'nginx (needs nginx) another' },
    { status: 'pending', fullName: 'alone (needs Go)' },
    { status: 'skipped', fullName: 'for another reason' },
    { status: 'passed', fullName: 'there it is (needs Jaeger)' },
  ];
  const needs = lacking({ testResults: [{ status: 'passed', assertionResults }] });
  expect([...needs]).toEqual([
    ['nginx', 2],
    ['Go', 1],
  ]);
});
