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
  return `
Tidemark is ready.

  gateway  ${gateway}  WebSocket /v1/ws, SSE /v1/sse
  ingest   ${ingest}  POST /v1/events
  replay   ${replay}  GET /v1/events
  NATS     ${environment.NATS_URL || `nats://127.0.0.1:${ports.nats}`}
  data     ${folder}

A token for a day, with every permission (\`npm run --silent token -- --help\` makes others):

  export TOKEN=${token}

Listen:

  curl -N -H "Authorization: Bearer $TOKEN" "${gateway}/v1/sse?topics=orders.>&after=earliest"

Emit, in another terminal:

  curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" ${ingest}/v1/events \\
    -d '{"type": "order.paid", "topic": "orders.42", "data": {"total": 7}}'

Look back:

  curl -H "Authorization: Bearer $TOKEN" "${replay}/v1/events?topics=orders.>"

Ctrl-C stops everything; the data stays.
`;
}
