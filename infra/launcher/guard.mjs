/*
 * Runs another program (`node guard.mjs <program> <arguments>`), and ends it with all its children
 * when the launcher ends. Neither nats-server nor npm notices that by itself. The guard tells the
 * launcher the process id of the program. So the launcher can end the program of a killed guard.
 */
import { spawn, spawnSync } from 'node:child_process';

const GRACE_MS = 2000;

const [program = '', ...args] = process.argv.slice(2);
const child = spawn(program, args, {
  stdio: ['ignore', 'inherit', 'inherit'],
  // A group of its own, which can be ended as a whole.
  detached: true,
  windowsHide: true,
});
process.send?.({ pid: child.pid });

child.once('error', (error) => {
  console.error(`${program} cannot be run: ${error.message}`);
  process.exit(1);
});
child.once('exit', (code, signal) => {
  // On Windows the process id of a program that has ended may belong to another already.
  if (process.platform !== 'win32') killGroup('SIGKILL');
  if (signal === null) process.exit(code);
  // Ends by the same signal as its program, so that the launcher can report it.
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
process.on('SIGTERM', () => killGroup('SIGTERM'));
process.on('SIGINT', () => killGroup('SIGTERM'));
process.once('disconnect', () => {
  killGroup('SIGTERM');
  setTimeout(() => killGroup('SIGKILL'), GRACE_MS);
});

/** @param {NodeJS.Signals} signal */
function killGroup(signal) {
  if (child.pid === undefined) return;
  try {
    // Windows has neither groups nor signals. It knows which process started which.
    if (process.platform === 'win32')
      spawnSync('taskkill', ['/pid', String(child.pid), '/t', '/f']);
    else process.kill(-child.pid, signal);
  } catch {
    // All processes of the group have ended.
  }
}
