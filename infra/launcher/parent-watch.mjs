/*
 * Each service loads this before its own code (`node --import`). The channel to the launcher closes
 * when the launcher ends, even by SIGKILL. Then the service must end too.
 */
const GRACE_MS = 10_000;

process.once('disconnect', () => {
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), GRACE_MS).unref();
  process.kill(process.pid, 'SIGTERM');
});
// The channel alone must not keep a service alive that has finished.
process.channel?.unref();
