/*
 * Each service loads this before its own code (`node --import`). The channel to the launcher closes
 * when the launcher ends, even by SIGKILL. Then the service must end too.
 */
const GRACE_MS = 10_000;

process.once('disconnect', () => {
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), GRACE_MS).unref();
  if (process.platform !== 'win32') process.kill(process.pid, 'SIGTERM');
  // Windows has no signals. There `kill` would end the process without calling its listeners.
  else if (!process.emit('SIGTERM', 'SIGTERM')) process.exit(1);
});
// The channel alone must not keep a service alive that has finished.
process.channel?.unref();
