import { spawn } from 'node:child_process';
import { endOnSignals } from '../../infra/launcher/command.mjs';
import { runMain } from '../../infra/launcher/failure.mjs';
import { provideNatsServer } from '../../infra/launcher/nats-server.mjs';
import { setUp } from '../../infra/launcher/setup.mjs';

/** Node 22 runs TypeScript only if it is told to, and says that this is new. */
const TYPESCRIPT = ['--experimental-strip-types', '--disable-warning=ExperimentalWarning'];

/**
 * Brings everything up to date and runs a TypeScript program with the arguments of this process.
 *
 * @param {string} main its path
 */
export async function runTypeScript(main) {
  endOnSignals();
  await runMain(async () => {
    await setUp(console.error);
    const { path } = await provideNatsServer(process.env, console.error);
    const child = spawn(process.execPath, [...TYPESCRIPT, main, ...process.argv.slice(2)], {
      stdio: 'inherit',
      env: { ...process.env, TIDEMARK_NATS_SERVER_BIN: path },
    });
    process.once('exit', () => child.kill('SIGTERM'));
    child.once('exit', (code) => {
      process.exitCode = code ?? 1;
    });
  });
}
