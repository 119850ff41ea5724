import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeToken, type Service } from '../support/services.ts';
import { type System, series, startSystem, storeArchived } from '../support/system.ts';

/*
 * Schemathesis makes requests from the documents, right ones and wrong ones, and compares the answers of the running
 * services with them.
 */

/** The folder of its packages. */
const { TEST_SCHEMATHESIS = '' } = process.env;

/** CI has to have it. */
const isLacking = TEST_SCHEMATHESIS === '' && process.env.CI !== 'true';

/** Requests to an operation in its second phase. The first one tries each rule of each parameter once. */
const EXAMPLES = 10;

const EVERYTHING = 'subscribe:> publish:> history:> inbox:> admin';

let system: System;
let folder: string;
let cursor: string;
beforeAll(async () => {
  if (isLacking) return;
  system = await startSystem({
    env: {
      // As with `npm start`; elsewhere in the tests any host is allowed.
      TIDEMARK_ALLOWED_HOSTS: '',
    },
  });
  folder = await mkdtemp(join(tmpdir(), 'tidemark-schemathesis-'));
  const stored = await storeArchived(system, series('orders.42', 1, 50));
  cursor = stored[0]?.cursor ?? '';
});
afterAll(async () => {
  await system?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** What the documents cannot say, and what is not compared because of that. */
function configuration(): string {
  return `
[checks]
# A wrong request may also be too large or too slow, or have a condition that does not hold.
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 408, 409, 412, 413, 415, 429, 431]
# OPTIONS without the header of a handshake is no handshake.
missing_required_header.expected-statuses = [400, 401, 403, 405, 406, 415, 422]

# A cursor of the right form may be of another log, and parameters that are right one by one may exclude each other:
# wait and before, If-Match and If-None-Match, upTo and cursors.
[[operations]]
include-path-regex = "^/v1/(events|head|topics|inbox.*|admin/erasures.*)$"
checks.positive_data_acceptance.enabled = false

[[operations]]
include-path = "/v1/events/{cursor}"
parameters = { cursor = "${cursor}" }
`;
}

async function hold({ name, url }: Service, ...options: string[]) {
  const config = join(folder, `${name}.toml`);
  await writeFile(config, configuration());
  const args = [
    ...[join(TEST_SCHEMATHESIS, 'bin', 'schemathesis'), '--config-file', config],
    ...['run', `${url}/openapi.json`, '--no-color', '--seed', '1', '--continue-on-failure'],
    ...[
      '--max-examples',
      String(EXAMPLES),
      '--phases',
      'examples,coverage,fuzzing',
      '--request-timeout',
      '10',
      ...options,
    ],
    // They would tell that the machine is slow.
    ...['--suppress-health-check', 'all'],
    ...['--header', `Authorization: Bearer ${await makeToken(EVERYTHING)}`],
  ];
  const child = spawn('python3', args, {
    cwd: folder,
    env: { ...process.env, PYTHONPATH: TEST_SCHEMATHESIS, PYTHONDONTWRITEBYTECODE: '1' },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  const code = await new Promise((resolve) => child.once('close', resolve));
  return { code, output };
}

test.skipIf(isLacking)(
  'ingest, replay and gateway: no fault of a server, and answers as documented (needs Schemathesis)',
  async () => {
    const { ingest, replay, gateway } = system;
    const held = await Promise.all([
      hold(ingest),
      hold(replay),
      // A stream does not end. The tests of SSE read it.
      hold(gateway, '--exclude-path', '/v1/sse'),
    ]);
    for (const { code, output } of held) {
      expect(code, output).toBe(0);
      expect(output).toMatch(/\d{3,} generated/);
    }
  },
);

test.skipIf(isLacking)(
  'ingest, held against the document of replay: is found out (needs Schemathesis)',
  async () => {
    const { ingest, replay } = system;
    const options = ['--url', ingest.url, '--include-path', '/v1/topics'];
    const { code, output } = await hold(replay, ...options);
    expect(output).toContain('Undocumented status code');
    expect(code).toBe(1);
  },
);
