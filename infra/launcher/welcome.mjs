import { randomBytes } from 'node:crypto';
import { reachableHost } from './settings.mjs';
import { makeToken } from './token.mjs';

const TOKEN_TTL_SECONDS = 24 * 3600;
const SCOPE = 'subscribe:> publish:> history:> admin';

/**
 * What a newcomer needs for the first event.
 *
 * @param {{ environment: NodeJS.ProcessEnv, folder: string, ports: Record<string, number> }} system
 */
export async function welcome({ environment, folder, ports }) {
  const token = await makeToken({
    environment,
    folder,
    subject: 'me',
    scope: SCOPE,
    ttlSeconds: TOKEN_TTL_SECONDS,
  });
  const host = reachableHost(environment);
  const [gateway, ingest, replay] = ['gateway', 'ingest', 'replay'].map(
    (name) => `http://${host}:${ports[name]}`,
  );
  const trace = ports.jaeger === undefined ? undefined : await newTrace(ports.jaeger);
  return `
Tidemark is ready.

  gateway  ${gateway}  WebSocket /v1/ws, SSE /v1/sse
  ingest   ${ingest}  POST /v1/events
  replay   ${replay}  GET /v1/events
  NATS     ${environment.NATS_URL || `nats://127.0.0.1:${ports.nats}`}
  data     ${folder}
${trace ? `  traces   ${trace.jaegerUrl}\n` : ''}
A token for a day, with every permission (\`npm run --silent token -- --help\` makes others):

  export TOKEN=${token}

Listen:

  curl -N -H "Authorization: Bearer $TOKEN" "${gateway}/v1/sse?topics=orders.>&after=earliest"

Emit, in another terminal:

  curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" ${ingest}/v1/events \\${
    trace ? `\n    -H "traceparent: ${trace.traceparent}" \\` : ''
  }
    -d '{"type": "order.paid", "topic": "orders.42", "data": {"total": 7}}'

${trace ? `See where it went:\n\n  ${trace.url}\n\n` : ''}Look back:

  curl -H "Authorization: Bearer $TOKEN" "${replay}/v1/events?topics=orders.>"

Ctrl-C stops everything; the data stays.
`;
}

/**
 * A trace for the sample request to be part of, and where to look at it. A Jaeger that was built
 * from its Go module alone has no pages, but the same trace as JSON.
 *
 * @param {number} port
 */
async function newTrace(port) {
  const jaegerUrl = `http://127.0.0.1:${port}`;
  const page = await fetch(jaegerUrl)
    .then((answer) => answer.text())
    .catch(() => '');
  const path = /not the Jaeger UI/.test(page) ? '/api/traces' : '/trace';
  const id = randomBytes(16).toString('hex');
  const traceparent = `00-${id}-${randomBytes(8).toString('hex')}-01`;
  return { jaegerUrl, traceparent, url: `${jaegerUrl}${path}/${id}` };
}
