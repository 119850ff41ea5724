import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { endOnSignals, run } from '../../infra/launcher/command.mjs';
import { Failure, runMain } from '../../infra/launcher/failure.mjs';
import { provideNatsServer } from '../../infra/launcher/nats-server.mjs';
import { npmCommand } from '../../infra/launcher/npm.mjs';
import { dependenciesAreCurrent, setUp } from '../../infra/launcher/setup.mjs';

/*
 * `npm run bench`: brings everything up to date, the benchmarks' own packages included, and runs
 * main.ts. They are a package of their own so that a plain install does not bring the peers.
 */
const FOLDER = fileURLToPath(new URL('.', import.meta.url));

endOnSignals();
await runMain(async () => {
  const say = console.error;
  await setUp(say);
  if (!dependenciesAreCurrent(FOLDER)) await install(say);
  const { path } = await provideNatsServer(process.env, say);
  const child = spawn(process.execPath, ['--import', 'tsx', 'main.ts', ...process.argv.slice(2)], {
    cwd: FOLDER,
    stdio: 'inherit',
    env: { ...process.env, TIDEMARK_NATS_SERVER_BIN: path },
  });
  process.once('exit', () => child.kill('SIGTERM'));
  child.once('exit', (code) => {
    process.exitCode = code ?? 1;
  });
});

/** @param {(text: string) => void} say */
async function install(say) {
  say('Installing the packages of the benchmarks …');
  const npm = npmCommand(['ci', '--no-audit', '--no-fund']);
  const { ok, output } = await run(npm.command, npm.args, { cwd: FOLDER });
  if (ok) return;
  console.error(output);
  throw new Failure('The packages of the benchmarks could not be installed; see above.');
}
