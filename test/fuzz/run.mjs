import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../../infra/launcher/checkout.mjs';
import { endOnSignals } from '../../infra/launcher/command.mjs';
import { runMain } from '../../infra/launcher/failure.mjs';
import { provideNatsServer } from '../../infra/launcher/nats-server.mjs';
import { setUp } from '../../infra/launcher/setup.mjs';

/*
 * `npm run fuzz -- --surface websocket --count 100000 --seed 7`: all surfaces where none is named;
 * the seed is printed, and the same seed and count give the same inputs.
 */

const { values } = parseArgs({
  options: {
    surface: { type: 'string', default: '' },
    count: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '' },
  },
});

endOnSignals();
await runMain(async () => {
  await setUp(console.error);
  const { path } = await provideNatsServer(process.env, console.error);
  const vitest = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
  const options = ['run', '--config', 'test/fuzz/vitest.config.ts', '--disable-console-intercept'];
  const child = spawn(process.execPath, [vitest, ...options], {
    cwd: ROOT,
    stdio: 'inherit',
    env: {
      ...process.env,
      TIDEMARK_NATS_SERVER_BIN: path,
      FUZZ_SURFACE: values.surface,
      FUZZ_COUNT: values.count,
      FUZZ_SEED: values.seed,
    },
  });
  process.once('exit', () => child.kill('SIGTERM'));
  child.once('exit', (code) => {
    process.exitCode = code ?? 1;
  });
});
