import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/**
 * @typedef {object} TestReport what vitest's JSON reporter writes, as far as it is read here
 * @property {FileReport[]} testResults
 */

/**
 * @typedef {{ name?: string, status: string, message?: string, assertionResults: TestResult[] }} FileReport
 * @typedef {{ status: string, fullName?: string, failureMessages?: string[] }} TestResult
 */

/** @type {Counts} */
export const NOTHING = { passed: 0, failed: 0, skipped: 0 };

/**
 * Counts the tests of one run.
 *
 * @param {TestReport} report
 * @returns {Counts}
 */
export function count({ testResults }) {
  const counts = { ...NOTHING };
  for (const { status, assertionResults } of testResults) {
    const failedBefore = counts.failed;
    for (const test of assertionResults) {
      if (test.status === 'passed') counts.passed += 1;
      else if (test.status === 'failed') counts.failed += 1;
      else counts.skipped += 1;
    }
    // A file that could not be loaded, or whose set-up failed, shows no failed test of its own.
    if (status === 'failed' && counts.failed === failedBefore) counts.failed += 1;
  }
  return counts;
}

/**
 * What the skipped tests of a run lack, as their names say it, and how many lack it.
 *
 * @param {TestReport} report
 * @returns {Map<string, number>}
 */
export function lacking({ testResults }) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { status, fullName } of testResults.flatMap((file) => file.assertionResults)) {
    const need = /\(needs ([^)]+)\)/.exec(fullName ?? '')?.[1];
    if (need === undefined || status === 'passed' || status === 'failed') continue;
    counts.set(need, (counts.get(need) ?? 0) + 1);
  }
  return counts;
}

/**
 * A line for each failed test, and for each file that broke: where it stands, its name, and the first
 * line of what was wrong.
 *
 * @param {TestReport} report
 * @returns {string[]}
 */
export function failures({ testResults }) {
  return testResults.flatMap(({ name = '', status, message = '', assertionResults }) => {
    const file = basename(name);
    const failed = assertionResults.filter((test) => test.status === 'failed');
    if (failed.length === 0) return status === 'failed' ? [`${file}: ${firstLine(message)}`] : [];
    return failed.map(
      ({ fullName, failureMessages }) =>
        `${file}: ${fullName}: ${firstLine(failureMessages?.[0] ?? '')}`,
    );
  });
}

/**
 * The files with a failed test, and those that broke.
 *
 * @param {TestReport} report
 * @returns {string[]}
 */
export function failedFiles({ testResults }) {
  return testResults.flatMap(({ name = '', status, assertionResults }) =>
    status === 'failed' || assertionResults.some((test) => test.status === 'failed') ? [name] : [],
  );
}

/** @param {string} text */
function firstLine(text) {
  return text.split('\n', 1)[0];
}

/** @param {string} file @returns {TestReport} empty where the run wrote none */
export function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { testResults: [] };
  }
}

/** @param {readonly Counts[]} runs @returns {Counts} */
export function sum(runs) {
  return {
    passed: runs.reduce((total, { passed }) => total + passed, 0),
    failed: runs.reduce((total, { failed }) => total + failed, 0),
    skipped: runs.reduce((total, { skipped }) => total + skipped, 0),
  };
}

/** @param {Counts} counts */
export function total({ passed, failed, skipped }) {
  return passed + failed + skipped;
}

/** @param {Counts} counts */
export function format({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
