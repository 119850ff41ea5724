import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { contextOf, NO_SPAN, Tracer, traceIds } from './tracer.ts';
import { startTracing } from './tracing.ts';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const PARENT = { traceparent: TRACEPARENT, tracestate: 'one=1,two=2' };
const logger = pino({ level: 'silent' });

describe('tracing without an endpoint', () => {
  test.each([
    ['no variables', {}],
    [
      'the SDK disabled',
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_SDK_DISABLED: 'true' },
    ],
    [
      'no exporter',
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_TRACES_EXPORTER: 'none' },
    ],
  ])('tracing: %s: every span is the one that does nothing', async (_, environment) => {
    const { tracer, stop } = await startTracing({ service: 'test', environment, logger });
    expect(tracer.enabled).toBe(false);
    expect(tracer.follows(TRACEPARENT)).toBe(false);
    const span = tracer.span('name', { parent: PARENT });
    expect(span).toBe(NO_SPAN);
    expect(contextOf(span)).toBeUndefined();
    expect(traceIds(span)).toEqual({});
    await stop();
  });

  test('within: work that throws: throws the same, traced or not', async () => {
    const wrong = new Error('wrong');
    const work = new Tracer().within('name', {}, () => Promise.reject(wrong));
    await expect(work).rejects.toBe(wrong);
  });
});

describe('tracing with an endpoint', () => {
  test('tracing: a span with a remote parent: is exported over OTLP in that trace', async () => {
    const bodies: Buffer[] = [];
    const collector = createServer(async (request, response) => {
      for await (const chunk of request) bodies.push(chunk as Buffer);
      response.end();
    }).listen(0, '127.0.0.1');
    await once(collector, 'listening');
    const { port } = collector.address() as AddressInfo;
    const endpoint = `http://127.0.0.1:${port}`;
    // The SDK reads the process's own variables.
    process.env.OTEL_EXPORTER_OTLP_ENDPOINT = endpoint;
    try {
      const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint };
      const { tracer, stop } = await startTracing({ service: 'test', environment, logger });
      expect(tracer.follows(TRACEPARENT)).toBe(true);
      expect(tracer.follows(`${TRACEPARENT.slice(0, -2)}00`)).toBe(false);
      const span = tracer.span('told apart', { kind: 'consumer', parent: PARENT });
      expect(contextOf(span)).toEqual({
        traceparent: expect.stringMatching(/^00-0af7651916cd43dd8448eb211c80319c-.{16}-01$/),
        tracestate: 'one=1,two=2',
      });
      span.end();
      await stop();
      const sent = Buffer.concat(bodies);
      expect(sent.includes('told apart')).toBe(true);
      expect(sent.includes('tidemark-test')).toBe(true);
      expect(sent.includes(Buffer.from('0af7651916cd43dd8448eb211c80319c', 'hex'))).toBe(true);
    } finally {
      delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT;
      collector.close();
    }
  });

  test('tracing: nobody takes the spans: the end does not wait for long', async () => {
    process.env.OTEL_EXPORTER_OTLP_ENDPOINT = 'http://127.0.0.1:9';
    try {
      const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' };
      const { tracer, stop } = await startTracing({ service: 'test', environment, logger });
      tracer.span('lost').end();
      const startMs = performance.now();
      await stop();
      expect(performance.now() - startMs).toBeLessThan(3000);
    } finally {
      delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT;
    }
  });
});
