import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a service whose `start` is the given code, until it logs "started" or ends. */
async function run(start: string, environment: Record<string, string> = {}) {
  const program = `
    import { runService } from '@tidemark/service';
    import { readIngestConfiguration } from '@tidemark/config';
    runService({
      name: 'sample',
      configure: readIngestConfiguration,
      start: async (configuration, { logger, signal, onStop }) => { ${start}; logger.info('started'); },
    });`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: import.meta.dirname,
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const { stdout, stderr } = child;
  if (!stdout || !stderr) throw new Error('no pipes');
  const texts = { stdout: '', stderr: '' };
  stderr.on('data', (chunk) => {
    texts.stderr += chunk;
  });
  const started = new Promise<void>((resolve) => {
    stdout.on('data', (chunk) => {
      texts.stdout += chunk;
      if (texts.stdout.includes('"started"')) resolve();
    });
  });
  // Not the child's own "close": Node does not emit it once the parent has dropped the channel.
  const closed = [once(child, 'exit'), once(stdout, 'close'), once(stderr, 'close')] as const;
  const ended: Promise<Result> = Promise.all(closed).then(([[code]]) => ({ code, ...texts }));
  await Promise.race([started, ended]);
  return { child, ended };
}

const alive = 'setInterval(() => {}, 1000)';

test('service: SIGTERM and SIGINT: steps run once and in order, exit code 0', async () => {
  const { child, ended } = await run(`${alive};
    onStop(() => new Promise((r) => setTimeout(r, 100)).then(() => console.error('first')));
    onStop(() => console.error('second'))`);
  child.kill('SIGTERM');
  child.kill('SIGINT');
  const { code, stdout, stderr } = await ended;
  expect(code).toBe(0);
  expect(stderr).toBe('first\nsecond\n');
  expect(stdout.match(/"stopping"/g)).toHaveLength(1);
});

test('service: a step of the stop fails: the others still run, exit code 1', async () => {
  const { child, ended } = await run(`${alive};
    onStop(async () => { throw new Error('no ground') }); onStop(() => console.error('second'))`);
  child.kill('SIGTERM');
  expect(await ended).toMatchObject({ code: 1, stderr: 'second\n' });
});

test('service: the parent drops the IPC channel: stops with exit code 0', async () => {
  const { child, ended } = await run(alive);
  child.disconnect();
  const { code, stdout } = await ended;
  expect(code).toBe(0);
  expect(stdout).toContain('parent gone');
});

test('service: SIGTERM while the start still waits: exit code 0', async () => {
  const { child, ended } = await run(`${alive}; logger.info('started');
    await new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    })`);
  child.kill('SIGTERM');
  expect((await ended).code).toBe(0);
});

test('service: wrong configuration: plain lines on stderr, exit code 1', async () => {
  const { ended } = await run(alive, { TIDEMARK_INGEST_PORT: 'x', TIDEMARK_INGEST_PROT: '1' });
  const { code, stdout, stderr } = await ended;
  expect(code).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toContain('TIDEMARK_INGEST_PORT=x is not a whole number');
  expect(stderr).toContain('did you mean TIDEMARK_INGEST_PORT?');
  expect(stderr).not.toContain('    at ');
});

test.each([
  ['the start fails', "throw new Error('no ground')"],
  ['a rejection nobody caught', "Promise.reject(new Error('no ground'))"],
  ['an exception in a timer', "setTimeout(() => { throw new Error('no ground') })"],
])('service: %s: logged as fatal, exit code 1', async (_, code) => {
  const { ended } = await run(`${alive}; ${code}`);
  const result = await ended;
  expect(result.code).toBe(1);
  expect(result.stdout).toMatch(/"level":60.*no ground/);
});

test('service: SIGUSR2: debug lines from then on, and none after the next', async () => {
  const { child, ended } = await run(`${alive};
    process.on('SIGUSR2', () => { logger.debug('seen'); process.send(logger.level); })`);
  for (const level of ['debug', 'info']) {
    const told = once(child, 'message');
    child.kill('SIGUSR2');
    expect(await told).toContain(level);
  }
  child.kill('SIGTERM');
  const { stdout } = await ended;
  expect(stdout.match(/"seen"/g)).toHaveLength(1);
});
