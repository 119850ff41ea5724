/*
 * Loaded into each service before its own code (`node --import`). The channel to the launcher
 * closes however the launcher ends, SIGKILL included, and then the service must end as well.
 */
const GRACE_MS = 10_000;

process.once('disconnect', () => {
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), GRACE_MS).unref();
  process.kill(process.pid, 'SIGTERM');
});
// The channel alone must not keep a service alive that is done.
process.channel?.unref();
