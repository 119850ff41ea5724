import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { makeToken, type Service, startService } from '../support/services.ts';

const FEED = fileURLToPath(new URL('feed.mjs', import.meta.url));

let nats: NatsServer;
let ingest: Service;
let replay: Service;
beforeAll(async () => {
  nats = await startNatsServer();
  replay = await startService('replay', { natsUrl: nats.url });
  ingest = await startService('ingest', { natsUrl: nats.url });
});
afterAll(async () => {
  await ingest?.stop();
  await replay?.stop();
  await nats?.stop();
});

function feed(...args: string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [FEED, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      output += chunk;
    });
    child.on('close', (code) => resolve({ code, output }));
  });
}

test('feed: more events than there are payloads: all stored', async () => {
  const token = await makeToken('publish:github.> history:github.>');
  const { code, output } = await feed(
    ...['--url', ingest.url, '--token', token, '--count', '400', '--rate', '2000'],
  );
  expect(output).toMatch(/400 stored .*, 0 duplicates, 0 repeated, 0 failed\s*$/);
  expect(code).toBe(0);
  const answer = await fetch(`${replay.url}/v1/topics`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(await answer.text()).toContain('github.Codertocat.Hello-World.issues');
});

test('feed: a token that does not permit it: counted, shown, code 1', async () => {
  const token = await makeToken('publish:orders.>');
  const { code, output } = await feed('--url', ingest.url, '--token', token, '--count', '3');
  expect(output).toMatch(/0 stored .*, 3 failed .* 403 forbidden/);
  expect(code).toBe(1);
});

test('feed: a rate that is no number: a sentence and code 1', async () => {
  const { code, output } = await feed('--rate', 'fast', '--token', 'none');
  expect(output).toBe('tidemark: --rate fast is no number above 0 and up to 50000.\n');
  expect(code).toBe(1);
});
