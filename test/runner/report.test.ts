import { expect, test } from 'vitest';
import { count, failedFiles, failures, format, lacking, sum } from './report.mjs';

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

test('test report: failed tests and a file that broke: a line each says where and what', () => {
  const failed = {
    status: 'failed',
    fullName: 'gap is told',
    failureMessages: ['Error: 1\n  at x'],
  };
  const testResults = [
    { name: '/a/one.test.ts', status: 'failed', assertionResults: [failed, { status: 'passed' }] },
    { name: '/a/two.test.ts', status: 'failed', message: 'No module\nm', assertionResults: [] },
    { name: '/a/three.test.ts', status: 'passed', assertionResults: [{ status: 'passed' }] },
  ];
  expect(failures({ testResults })).toEqual([
    'one.test.ts: gap is told: Error: 1',
    'two.test.ts: No module',
  ]);
  expect(failedFiles({ testResults })).toEqual(['/a/one.test.ts', '/a/two.test.ts']);
});
