/*
 * Runs nats-server (`node nats-guard.mjs <binary> <arguments>`) and ends it when the launcher is
 * gone, which nats-server itself does not notice. Tells the launcher the process id, so that a
 * guard that was killed leaves no server on the port.
 */
import { spawn } from 'node:child_process';

const GRACE_MS = 10_000;

const [binary = '', ...args] = process.argv.slice(2);
const server = spawn(binary, args, { stdio: ['ignore', 'inherit', 'inherit'] });
process.send?.({ pid: server.pid });

server.once('error', (error) => {
  console.error(`nats-server cannot be run: ${error.message}`);
  process.exit(1);
});
server.once('exit', (code, signal) => {
  if (signal === null) process.exit(code);
  // Ends as its server did, so that the launcher can say how that was.
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
process.on('SIGTERM', () => server.kill('SIGTERM'));
process.on('SIGINT', () => server.kill('SIGTERM'));
process.once('disconnect', () => {
  server.kill('SIGTERM');
  setTimeout(() => server.kill('SIGKILL'), GRACE_MS);
});
