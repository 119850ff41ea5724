import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import type { Cell } from '../bench/peers/report/comparison.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The packages of the benchmarks may have to be installed. */
const TIMEOUT_MS = 180_000;

async function compare(...args: string[]): Promise<{ stdout: string; cells: Cell[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-peers-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'peers.json');
  const command = ['test/bench/run.mjs', 'peers', '--quick', '--out', file, ...args];
  const { stdout } = await promisify(execFile)(process.execPath, command, { cwd: ROOT });
  return { stdout, cells: JSON.parse(await readFile(file, 'utf8')).cells };
}

test.runIf(process.env.ALL_TESTS === 'yes' && process.env.TIDEMARK_CENTRIFUGO_BIN)(
  'comparison with peers (needs Centrifugo): a storm is measured on both, and the table has it',
  async () => {
    const { stdout, cells } = await compare(
      ...['--case', 'storm', '--system', 'tidemark,centrifugo,centrifugo-tuned'],
    );
    const seconds = cells.map(({ system, medians, missing }) => [
      system,
      missing ?? (medians.seconds ?? 0) > 0,
    ]);
    expect(Object.fromEntries(seconds)).toEqual({
      tidemark: true,
      centrifugo: 'without history nothing can be recovered',
      'centrifugo-tuned': true,
    });
    expect(stdout).toContain('| Tidemark, WebSocket | Centrifugo, defaults |');
    expect(stdout).toContain('What is not promised:');
  },
  TIMEOUT_MS,
);
