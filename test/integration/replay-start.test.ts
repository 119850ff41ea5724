import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TEST_SECRET } from '../support/services.ts';

const MAIN = fileURLToPath(new URL('../../services/replay/dist/main.js', import.meta.url));

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-start-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

function run(env: Record<string, string>) {
  const { status, stderr, stdout } = spawnSync(process.execPath, [MAIN], {
    timeout: 10_000,
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH,
      TIDEMARK_REPLAY_PORT: '0',
      TIDEMARK_TOKEN_SECRET: TEST_SECRET,
      TIDEMARK_REPLAY_DATABASE: join(folder, 'archive.db'),
      ...env,
    },
  });
  return { status, stderr, stdout };
}

describe('start', () => {
  test('start: database folder that cannot be written: one sentence, exit code 1', () => {
    writeFileSync(join(folder, 'file'), '');
    const path = join(folder, 'file', 'archive.db');
    const { status, stderr, stdout } = run({ TIDEMARK_REPLAY_DATABASE: path });
    expect(status).toBe(1);
    expect(stderr.trimEnd().split('\n')).toHaveLength(2);
    expect(stderr).toContain(`TIDEMARK_REPLAY_DATABASE=${path} cannot be opened for writing`);
    // The configuration is logged, and nothing after it.
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    expect(stdout).toContain('"msg":"configured"');
  });

  test('start: a file that is no database: refused, and left as it was', () => {
    const path = join(folder, 'letter.txt');
    writeFileSync(path, 'Dear reader, '.repeat(100));
    const { status, stderr } = run({ TIDEMARK_REPLAY_DATABASE: path });
    expect(status).toBe(1);
    expect(stderr).toContain('file is not a database');
  });

  test('start: no secret: one sentence, exit code 1', () => {
    const { status, stderr } = run({ TIDEMARK_TOKEN_SECRET: '' });
    expect(status).toBe(1);
    expect(stderr).toContain('TIDEMARK_TOKEN_SECRET is not set');
  });

  test('start: unknown setting: named with a suggestion', () => {
    const { status, stderr } = run({ TIDEMARK_REPLAY_DATABSE: 'x' });
    expect(status).toBe(1);
    expect(stderr).toContain('did you mean TIDEMARK_REPLAY_DATABASE?');
  });
});
