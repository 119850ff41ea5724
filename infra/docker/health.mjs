// Docker's health check: exit code 0 if the service of this image answers on its port.
import { tables } from '@tidemark/config';

const service = /** @type {'gateway' | 'ingest' | 'replay' | 'relay'} */ (process.env.SERVICE);
const { variable, default: standard } = tables[service].port;
const port = process.env[variable] || standard;
const answer = await fetch(`http://127.0.0.1:${port}/healthz`, {
  signal: AbortSignal.timeout(2000),
}).catch(() => undefined);
process.exit(answer?.ok ? 0 : 1);
