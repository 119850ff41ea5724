import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  HAS_NGINX,
  HAS_OPENSSL,
  HEARTBEAT_MS,
  type Nginx,
  READ_TIMEOUT_S,
  startNginx,
} from '../../test/support/nginx.ts';
import { numbered, type System, startSystem } from '../../test/support/system.ts';
import { until } from '../../test/support/until.ts';
import { WebSocketClient } from '../../test/support/web-socket-client.ts';

/*
 * The same nginx with TLS: HTTP/2 to clients, WebSocket beside it. Skipped where there is no nginx,
 * and no openssl to make a certificate with.
 */

/** More than the six connections to one host that browsers open over HTTP/1.1. */
const STREAMS = 20;

describe.skipIf(!HAS_NGINX || !HAS_OPENSSL)('nginx with TLS (needs nginx, openssl)', () => {
  let system: System;
  let proxy: Nginx;
  let session: ClientHttp2Session;
  beforeAll(async () => {
    system = await startSystem({
      gateways: 2,
      env: { TIDEMARK_GATEWAY_HEARTBEAT_MS: HEARTBEAT_MS },
    });
    proxy = await startNginx(system, { tls: true });
    session = connect(proxy.url, { ca: proxy.certificate ?? '' });
    await once(session, 'connect');
  });
  afterAll(async () => {
    session?.destroy();
    await proxy?.stop();
    await system?.stop();
  });

  test('nginx -t: the configuration as it is shipped: is valid', () => {
    expect(proxy.check()).toContain('test is successful');
  });

  test('twenty SSE streams in one HTTP/2 connection: each event at once, idle beyond the timeout', async () => {
    const topic = 'tls.sse';
    const streams = Array.from({ length: STREAMS }, () => new SseStream(ask(listenAt(topic))));
    for (const stream of streams) await until(() => stream.text.includes('event: live'));
    expect(session.alpnProtocol).toBe('h2');
    const posted = new SseStream(ask({ ':method': 'POST', ':path': '/v1/events' }, topic));
    await until(() => posted.ended);
    expect(posted.status).toBe(201);
    for (const stream of streams) await until(() => stream.text.includes('"id":"1"'));
    await sleep(READ_TIMEOUT_S * 1500);
    await system.publisher.store(numbered(topic, 2));
    for (const stream of streams) {
      await until(() => stream.text.includes('"id":"2"'));
      expect(stream.ended).toBe(false);
    }
    const [first] = streams;
    expect(first?.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'strict-transport-security': 'max-age=31536000',
    });
  });

  test('WebSocket over TLS: events arrive, and idle beyond the timeout it stays', async () => {
    const topic = 'tls.websocket';
    const client = new WebSocketClient(proxy.url, {
      token: system.token,
      ca: proxy.certificate ?? '',
    });
    await client.first('welcome');
    client.send({ type: 'subscribe', id: 'a', topics: [topic] });
    await client.first('live', 'a');
    await sleep(READ_TIMEOUT_S * 1500);
    await system.publisher.store(numbered(topic, 1));
    expect((await client.first('event')).event).toMatchObject(numbered(topic, 1));
    await client.close();
  });

  function listenAt(topic: string): Record<string, string> {
    return { ':method': 'GET', ':path': `/v1/sse?topics=${topic}` };
  }

  function ask(headers: Record<string, string>, topic?: string): ClientHttp2Stream {
    const asked = session.request({
      authorization: `Bearer ${system.token}`,
      'content-type': 'application/json',
      ...headers,
    });
    if (topic !== undefined) asked.end(JSON.stringify(numbered(topic, 1)));
    return asked;
  }
});

/** What one HTTP/2 stream brings. */
class SseStream {
  text = '';
  ended = false;
  headers: Readonly<Record<string, unknown>> = {};

  constructor(stream: ClientHttp2Stream) {
    stream.setEncoding('utf8');
    stream.on('response', (headers) => {
      this.headers = headers;
    });
    stream.on('data', (chunk) => {
      this.text += chunk;
    });
    stream.once('close', () => {
      this.ended = true;
    });
  }

  get status(): unknown {
    return this.headers[':status'];
  }
}
