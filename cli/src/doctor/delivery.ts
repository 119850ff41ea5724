import { messageOf } from '../base/errors.ts';
import type { Api } from '../http/api.ts';
import { ServiceError } from '../http/service-error.ts';
import { readBlocks } from '../http/sse.ts';
import type { Target } from '../profile/target.ts';
import { claimsOf } from '../profile/token-source.ts';
import { type Finding, fault, note, ok, skipped } from './finding.ts';

/** The first block comes at once; a proxy that holds it back waits for more bytes. */
const FIRST_BLOCK_MS = 5000;

/** The services send a heartbeat every 15 s, where nothing else is configured. */
const HEARTBEAT_MS = 40_000;

const HANDSHAKE_MS = 5000;
const SOON_MS = 60_000;
const EXAMPLE_TOPIC = 'doctor.probe';

const SSE_ADVICE =
  'A proxy on the way buffers or compresses. nginx: proxy_buffering off, gzip off and proxy_http_version 1.1 for /v1/sse (infra/nginx/nginx.conf).';
const SOCKET_ADVICE =
  'A proxy on the way does not pass the upgrade on. nginx: proxy_set_header Upgrade and Connection (infra/nginx/nginx.conf). Clients fall back to SSE.';

/** Looks whether the token is accepted, and whether events get through to a client over both transports. */
export async function checkDelivery(
  target: Target,
  api: Api,
  { heartbeat, signal }: { heartbeat: boolean; signal: AbortSignal },
): Promise<Finding[]> {
  let token: string;
  try {
    token = await target.token.get();
    await api.send({ path: '/v1/head', attempts: 2 });
  } catch (error) {
    signal.throwIfAborted();
    return [tokenFault(error)];
  }
  const topic = subscribable(token);
  const findings = [judgeExpiry(token)];
  if (topic === undefined) {
    const text = 'The token has no grant of subscribe: that could be tried.';
    return [...findings, skipped('sse', text, 'Give a token with subscribe: for some topic.')];
  }
  return [
    ...findings,
    await checkSse(api, topic, heartbeat, signal),
    await checkWebSocket(target.urls.gateway, token, signal),
  ];
}

function tokenFault(error: unknown): Finding {
  if (error instanceof ServiceError && error.status === 403) {
    return skipped(
      'token',
      `It is accepted, but permits too little: ${error.message}`,
      'Give a token with subscribe: or history:.',
    );
  }
  const advice =
    'tidemark token inspect shows what it says. Its key, iss and aud have to be those of the services, and it must not be expired or revoked.';
  return fault('token', messageOf(error), advice);
}

function judgeExpiry(token: string): Finding {
  const exp = Number(claimsOf(token)?.exp);
  if (exp * 1000 - Date.now() < SOON_MS) {
    return note('token', 'The gateway accepts it, and it expires within a minute.', 'Renew it.');
  }
  return ok('token', 'The gateway accepts it.');
}

/** A topic that the token may subscribe to; where no scope can be read, the gateway says. */
function subscribable(token: string): string | undefined {
  const scope = claimsOf(token)?.scope;
  const words = Array.isArray(scope) ? scope.map(String) : String(scope ?? '').split(/\s+/);
  const grant = words.find((word) => word.startsWith('subscribe:'));
  if (grant === undefined) return scope === undefined ? EXAMPLE_TOPIC : undefined;
  return grant.slice('subscribe:'.length).replace(/[*>]/g, 'doctor');
}

async function checkSse(
  api: Api,
  topics: string,
  heartbeat: boolean,
  signal: AbortSignal,
): Promise<Finding> {
  const startMs = performance.now();
  let blocks = 0;
  try {
    const response = await api.open({
      path: '/v1/sse',
      query: { topics },
      attempts: 2,
      timeoutMs: FIRST_BLOCK_MS,
    });
    const reader = readBlocks(response);
    for (;;) {
      const next = await within(reader.next(), blocks < 2 ? FIRST_BLOCK_MS : HEARTBEAT_MS);
      if (next === undefined) break;
      if (next.done) return fault('sse', 'The stream ended at once.', SSE_ADVICE);
      blocks++;
      if (next.value.event === 'error')
        return fault('sse', `The gateway says ${next.value.data}`, 'Its log says more.');
      // Position and live come at once; a heartbeat is what follows.
      const wanted = heartbeat ? 3 : 2;
      if (blocks < wanted) continue;
      await reader.return(undefined);
      const ms = Math.round(performance.now() - startMs);
      return ok(
        'sse',
        `${heartbeat ? 'A heartbeat' : 'The first events'} came through after ${ms} ms.`,
      );
    }
  } catch (error) {
    signal.throwIfAborted();
    return fault('sse', `The stream failed: ${messageOf(error)}`, SSE_ADVICE);
  }
  const text =
    blocks === 0
      ? `Nothing came through within ${FIRST_BLOCK_MS / 1000} s.`
      : 'The stream began, and then held back what followed.';
  return fault('sse', text, SSE_ADVICE);
}

/** `undefined`: it took too long. What it waits for ends with the process. */
function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

async function checkWebSocket(
  gateway: string,
  token: string,
  signal: AbortSignal,
): Promise<Finding> {
  const startMs = performance.now();
  const url = `${gateway.replace(/^http/, 'ws')}/v1/ws`;
  const socket = new WebSocket(url, ['tidemark.v1', `bearer.${token}`]);
  const outcome = await new Promise<'welcome' | 'closed' | 'late'>((resolve) => {
    const timer = setTimeout(() => resolve('late'), HANDSHAKE_MS);
    const end = (how: 'welcome' | 'closed') => {
      clearTimeout(timer);
      resolve(how);
    };
    socket.onmessage = () => end('welcome');
    socket.onclose = () => end('closed');
    signal.addEventListener('abort', () => end('closed'), { once: true });
  });
  socket.close();
  signal.throwIfAborted();
  if (outcome === 'welcome') {
    return ok('websocket', `It opened after ${Math.round(performance.now() - startMs)} ms.`);
  }
  const text = outcome === 'late' ? 'It did not open in time.' : 'It was refused.';
  return fault('websocket', `${text} SSE may work all the same.`, SOCKET_ADVICE);
}
