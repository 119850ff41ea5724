import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';

/** A real server and several processes start in many of these, on machines with two cores. */
const PROCESS_TEST_TIMEOUT_MS = 30_000;

/** Beside them a Chromium goes through several pages. */
const CONSOLE_TEST_TIMEOUT_MS = 90_000;

const UNIT_TESTS = [
  '{libs,services}/*/src/**/*.test.ts',
  'console/src/**/*.test.ts',
  'test/bench/{load,peers,publisher}/**/*.test.ts',
  'test/client/**/*.test.ts',
  'test/capacity/**/*.test.ts',
  'test/inbox-model/*.test.ts',
  'test/soak/*.test.ts',
  'test/chaos/**/*.test.ts',
];

function project(name: string, include: string[], timeoutMs: number) {
  return {
    extends: true,
    test: { name, include, testTimeout: timeoutMs, hookTimeout: timeoutMs },
  } satisfies TestProjectInlineConfiguration;
}

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    teardownTimeout: 15_000,
    projects: [
      project('unit', UNIT_TESTS, 30_000),
      project(
        'launcher',
        ['infra/**/*.test.ts', 'test/feed/**/*.test.ts', 'test/runner/**/*.test.ts'],
        120_000,
      ),
      project(
        'integration',
        ['test/integration/**/*.test.ts', 'test/support/**/*.test.ts'],
        PROCESS_TEST_TIMEOUT_MS,
      ),
      project('cli', ['cli/src/**/*.test.ts', 'test/cli/**/*.test.ts'], PROCESS_TEST_TIMEOUT_MS),
      project('conformance', ['test/conformance/**/*.test.ts'], PROCESS_TEST_TIMEOUT_MS),
      project('repository', ['test/repository/**/*.test.ts'], 10_000),
      project('browser', ['test/browser/**/*.test.ts'], PROCESS_TEST_TIMEOUT_MS),
      project('console', ['test/console/**/*.test.ts'], CONSOLE_TEST_TIMEOUT_MS),
      // Looks at what the others left: `npm test` runs it after them.
      ...(process.env.LOGGED_FILE && process.env.LOGS_COMPLETE
        ? [project('secrets', ['test/secrets/**/*.test.ts'], 60_000)]
        : []),
      // Their packages are their own; `npm test -- --all` installs them.
      ...(process.env.TEST_CLIENTS === 'installed'
        ? [project('clients', ['test/clients/**/*.test.ts'], 120_000)]
        : []),
      // So are these. `npm run check` runs those that need no other service.
      ...(process.env.TEST_DOCUMENTS === 'installed'
        ? [project('documents', ['test/documents/**/*.test.ts'], 300_000)]
        : []),
      project('simulation', ['test/simulation/**/*.test.ts'], 60_000),
    ],
  },
});
