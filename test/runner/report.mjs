import { readFileSync } from 'node:fs';

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/**
 * @typedef {object} TestReport what vitest's JSON reporter writes, as far as it is read here
 * @property {{ status: string, assertionResults: { status: string, fullName?: string }[] }[]} testResults
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
