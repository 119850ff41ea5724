import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { endOnSignals } from '../../infra/launcher/command.mjs';
import { runMain } from '../../infra/launcher/failure.mjs';
import { provideNatsServer } from '../../infra/launcher/nats-server.mjs';
import { setUp } from '../../infra/launcher/setup.mjs';
import { provideCentrifugo } from '../runner/centrifugo.mjs';
import { installOwnPackages } from '../runner/own-packages.mjs';

/*
 * `npm run bench`: brings everything up to date, the benchmarks' own packages included, and runs
 * main.ts, or peers/main.ts where the first argument is `peers`. They are a package of their own so that a plain install does not bring the peers.
 */
const FOLDER = fileURLToPath(new URL('.', import.meta.url));

endOnSignals();
await runMain(async () => {
  const say = console.error;
  await setUp(say);
  await installOwnPackages(FOLDER, 'the benchmarks', say);
  const { path } = await provideNatsServer(process.env, say);
  const [first, ...rest] = process.argv.slice(2);
  const comparesPeers = first === 'peers';
  const args = comparesPeers ? ['peers/main.ts', ...rest] : ['main.ts', ...process.argv.slice(2)];
  const centrifugo =
    comparesPeers && !rest.includes('--help') && (await provideCentrifugo(process.env, say));
  const child = spawn(process.execPath, ['--import', 'tsx', ...args], {
    cwd: FOLDER,
    stdio: 'inherit',
    env: {
      ...process.env,
      TIDEMARK_NATS_SERVER_BIN: path,
      ...(centrifugo && { TIDEMARK_CENTRIFUGO_BIN: centrifugo }),
    },
  });
  process.once('exit', () => child.kill('SIGTERM'));
  child.once('exit', (code) => {
    process.exitCode = code ?? 1;
  });
});
