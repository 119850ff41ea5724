import { afterAll, beforeAll } from 'vitest';
import { makeToken, type Service } from '../support/services.ts';
import { type System, startSystem } from '../support/system.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

/* What the tests of PROTOCOL.md section 8.2 share: services with low limits, and clients of many addresses. */

export const PER_ADDRESS = 6;
export const PER_USER = 4;
export const MESSAGES_PER_SECOND = 50;
export const MESSAGE_BYTES_PER_SECOND = 200_000;
export const PAGE_BYTES = 32 * 1024 ** 2;

export let system: System;
/** Allows few handshakes; the tests go to it from addresses of their own. */
export let gateway: Service;

/** Starts the services before the tests of a file. */
export function useLimitedSystem(): void {
  beforeAll(async () => {
    system = await startSystem({
      env: {
        TIDEMARK_REPLAY_READS_PER_USER_MAX: '2',
        TIDEMARK_REPLAY_EXPORTS_MAX: '4',
        TIDEMARK_REPLAY_PAGE_BYTES_MAX: String(PAGE_BYTES),
      },
    });
    gateway = await system.startGateway({
      TIDEMARK_TRUSTED_PROXIES: '127.0.0.1',
      TIDEMARK_GATEWAY_CONNECTIONS_PER_ADDRESS_MAX: String(PER_ADDRESS),
      TIDEMARK_GATEWAY_CONNECTIONS_PER_USER_MAX: String(PER_USER),
      TIDEMARK_GATEWAY_HANDSHAKES_PER_SECOND_MAX: '10',
      TIDEMARK_GATEWAY_CONNECTION_PATTERNS_MAX: '5',
      TIDEMARK_GATEWAY_PATTERN_BYTES_PER_USER_MAX: '5000',
      TIDEMARK_GATEWAY_WILDCARDS_PER_USER_MAX: '8',
      TIDEMARK_GATEWAY_MESSAGES_PER_SECOND_MAX: String(MESSAGES_PER_SECOND),
      TIDEMARK_GATEWAY_PUBLISHES_PER_SECOND_MAX: '20',
      TIDEMARK_GATEWAY_CATCH_UPS_PER_USER_MAX: '2',
      TIDEMARK_GATEWAY_TICKETS_PER_SECOND_MAX: '3',
      TIDEMARK_GATEWAY_MESSAGE_BYTES_PER_SECOND_MAX: String(MESSAGE_BYTES_PER_SECOND),
      TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '10',
    });
  });
  afterAll(() => system?.stop());
}

/** Each test comes from a network of its own. */
let networks = 0;
export function nextAddress(): string {
  return `203.0.113.${++networks}`;
}

interface From {
  readonly address: string;
  readonly user?: string;
}

export async function open({ address, user = 'alice' }: From): Promise<WebSocketClient> {
  const token = await makeToken('subscribe:> publish:> history:>', user);
  return new WebSocketClient(gateway.url, { token, headers: { 'x-forwarded-for': address } });
}

/** The status and headers that a handshake is refused with. */
export async function refusal(from: From): Promise<unknown> {
  const client = await open(from);
  return new Promise((resolve, reject) => {
    client.socket.once('open', () => reject(new Error('The handshake was accepted.')));
    client.socket.once('unexpected-response', async (_request, response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      client.socket.terminate();
      const { code, retryable } = JSON.parse(text);
      resolve([response.statusCode, response.headers['retry-after'], code, retryable]);
    });
  });
}

export async function sse({ address, user = 'alice' }: From, query = 'topics=a') {
  const token = await makeToken('subscribe:>', user);
  return fetch(`${gateway.url}/v1/sse?${query}`, {
    headers: { authorization: `Bearer ${token}`, 'x-forwarded-for': address },
  });
}

/** How a connection over SSE is refused. */
export const SHED =
  /^retry: \d+\nevent: error\ndata: \{"code":"limit_exceeded".*"retryable":true.*\}\n\n$/;
