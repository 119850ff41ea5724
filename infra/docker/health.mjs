// Whether the service of this image is alive: docker's health check runs it.
const port = process.env.HEALTH_PORT;
const answer = await fetch(`http://127.0.0.1:${port}/healthz`, {
  signal: AbortSignal.timeout(2000),
}).catch(() => undefined);
process.exit(answer?.ok ? 0 : 1);
