import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { trace } from '@opentelemetry/api';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { createPublisher, type Publisher } from '@tidemark/publisher';
import { publishing } from '@tidemark/publisher/express';
import express from 'express';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { JAEGER_BINARY, type Jaeger, startJaeger } from '../support/jaeger.ts';
import { makeToken } from '../support/services.ts';
import { type System, startSystem, streamEvents } from '../support/system.ts';

/* `@tidemark/publisher/express`, and how the trace of a service goes on in the stream. */

const TRACEPARENT = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;

let jaeger: Jaeger | undefined;
let system: System;
let publisher: Publisher;
const servers: Server[] = [];
beforeAll(async () => {
  jaeger = JAEGER_BINARY === undefined ? undefined : await startJaeger(JAEGER_BINARY);
  const env = jaeger && {
    OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.otlpUrl,
    OTEL_BSP_SCHEDULE_DELAY: '100',
  };
  system = await startSystem(env && { env });
  publisher = createPublisher({
    url: system.ingest.url,
    token: await makeToken('publish:>', 'shop'),
    source: '/shop',
  });
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});
afterAll(async () => {
  await publisher.close();
  await system.stop();
  await jaeger?.stop();
});

/** An application whose one route publishes what it is sent to. @returns the stored event */
async function request(
  topic: string,
  headers: Record<string, string>,
  { options = {}, event = {} }: { options?: Parameters<typeof publishing>[1]; event?: object } = {},
) {
  const app = express();
  app.use(publishing(publisher, options));
  app.post('/orders', async (request, response) => {
    const { cursor } = await request.publish(topic, { type: 'order.paid', ...event });
    response.json({ cursor });
  });
  const server = app.listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/orders`;
  const answer = await fetch(url, { method: 'POST', headers });
  expect(await answer.json()).toEqual({ cursor: expect.stringMatching(/-\d+$/) });
  return (await streamEvents(system.nats.url)).find((one) => one.topic === topic);
}

describe('express', () => {
  test('correlation id: is on the event', async () => {
    const event = await request('express.1', { 'x-correlation-id': 'c-1' });
    expect(event).toMatchObject({ type: 'order.paid', source: '/shop', correlationid: 'c-1' });
  });

  test('other headers and attributes: are on the event; its own count first', async () => {
    const options = {
      headers: { 'x-request-id': 'requestid', 'x-tenant': 'tenant', 'x-absent': 'absent' },
      attributes: ({ method }: express.Request) => ({ tenant: 'ours', method, none: undefined }),
    };
    const headers = { 'x-request-id': 'r-1', 'x-tenant': 'theirs', 'x-correlation-id': 'c-1' };
    const event = await request('express.2', headers, { options, event: { method: 'own' } });
    expect(event).toMatchObject({ requestid: 'r-1', tenant: 'ours', method: 'own' });
    for (const name of ['correlationid', 'absent', 'none']) expect(event).not.toHaveProperty(name);
  });

  test.each([['ü'], ['x'.repeat(257)], ['']])(
    'a value that is no plain text: is passed over (%#)',
    async (value) => {
      const topic = `express.odd.${value.length}`;
      const event = await request(topic, { 'x-correlation-id': value });
      expect(event).not.toHaveProperty('correlationid');
    },
  );

  test('traceparent of the request, without a span: goes on in the event', async () => {
    const event = await request('express.3', { traceparent: TRACEPARENT, tracestate: 'a=1' });
    expect(event).toMatchObject({ traceparent: TRACEPARENT, tracestate: 'a=1' });
  });

  test('traceparent that is none: is passed over', async () => {
    const event = await request('express.4', { traceparent: 'nonsense' });
    expect(event?.traceparent).not.toBe('nonsense');
  });

  test.each(['correlationId', 'x-y', '', 'source', 'data', 'traceparent'])(
    'attribute name %j: is refused when the application starts',
    (name) => {
      expect(() => publishing(publisher, { headers: { 'x-a': name } })).toThrow(TypeError);
    },
  );
});

describe.skipIf(JAEGER_BINARY === undefined)('tracing (needs Jaeger)', () => {
  test('active span: is the parent of the request, and the event has its trace', async () => {
    process.env.OTEL_EXPORTER_OTLP_ENDPOINT = jaeger?.otlpUrl;
    const sdk = new NodeSDK({ serviceName: 'shop', instrumentations: [] });
    sdk.start();
    try {
      const [traceId, spanId] = await trace
        .getTracer('shop')
        .startActiveSpan('pay', async (span) => {
          await publisher.publish('traced.1', { type: 'order.paid' });
          await publisher.publishBatch([
            { topic: 'traced.2', type: 'order.paid' },
            { topic: 'traced.3', type: 'order.paid' },
          ]);
          span.end();
          return [span.spanContext().traceId, span.spanContext().spanId];
        });
      const events = await streamEvents(system.nats.url);
      const traced = events.filter(({ topic }) => topic.startsWith('traced.'));
      expect(traced.map(({ traceparent }) => traceparent)).toEqual(
        [1, 2, 3].map(() => `00-${traceId}-${spanId}-01`),
      );
      const wanted = ['pay', 'POST /v1/events', 'send tidemark.events.{topic}'];
      const has = (names: readonly string[]) => wanted.every((name) => names.includes(name));
      await sdk.shutdown();
      const spans = await jaeger?.trace(traceId ?? '', (found) =>
        has(found.map(({ name }) => name)),
      );
      const post = spans?.find(({ name }) => name === 'POST /v1/events');
      expect(post?.parent).toBe(spanId);
    } finally {
      await sdk.shutdown();
      delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT;
    }
  });
});
