import { randomBytes } from 'node:crypto';
import { headers } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { untilEvents } from '../support/clients.ts';
import { JAEGER_BINARY, type Jaeger, type JaegerSpan, startJaeger } from '../support/jaeger.ts';
import { makeToken } from '../support/services.ts';
import { numbered, type System, series, startSystem, withNats } from '../support/system.ts';
import { until } from '../support/until.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

/*
 * One event's whole way, as a real Jaeger shows it. Skipped where the set-up could provide none:
 * there is none on the PATH or in the cache, and no Go toolchain to build one.
 */

const TOPIC = 'traced.orders';
const SEND = 'send tidemark.events.{topic}';
const PROCESS = 'process tidemark.events.{topic}';

/** Of a catch-up's span. */
const LINKS_MAX = 32;

/** What another tracing system has to say; it is no business of ours but to pass it on. */
const TRACESTATE = 'rojo=00f067aa0ba902b7';

let jaeger: Jaeger;
let system: System;

describe.skipIf(JAEGER_BINARY === undefined)('tracing (needs Jaeger)', () => {
  beforeAll(async () => {
    jaeger = await startJaeger(JAEGER_BINARY ?? '');
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.otlpUrl, OTEL_BSP_SCHEDULE_DELAY: '100' };
    system = await startSystem({ env });
  });
  afterAll(async () => {
    await system?.stop();
    await jaeger?.stop();
  });

  test('an event with a traceparent: one trace from the request to the later catch-up', async () => {
    const { traceId, spanId, traceparent } = newTrace();
    const context = { traceparent, tracestate: TRACESTATE };
    const live = (['websocket', 'sse'] as const).map((transport) =>
      system.listen(transport, { topics: TOPIC }),
    );
    for (const listener of live) await until(() => listener.live);
    const { cursor } = await post(traceparent, 1);
    for (const listener of live) await untilEvents(listener, 1);
    for (const { events } of live) expect(events[0]?.event).toMatchObject(context);

    const { socket } = await open(traceparent, { after: 'earliest' });
    const history = await fetch(`${system.replay.url}/v1/events?topics=${TOPIC}`, {
      headers: { authorization: `Bearer ${system.token}`, traceparent },
    });
    expect(history.status).toBe(200);
    await history.body?.cancel();

    const names = [
      'POST /v1/events',
      'validate',
      SEND,
      PROCESS,
      PROCESS,
      'GET /v1/ws',
      'catch up',
      'GET /v1/events',
      'history page',
    ];
    const spans = await jaeger.trace(traceId, (found) => found.length >= names.length);
    expect(spans.map(({ name }) => name).sort()).toEqual(names.toSorted());
    const named = (wanted: string) => one(spans, ({ name }) => name === wanted);
    const request = named('POST /v1/events');
    const validate = named('validate');
    const send = named(SEND);
    const handshake = named('GET /v1/ws');
    const catchUp = named('catch up');
    const deliveryTrace = one(
      spans,
      ({ name, service }) => name === PROCESS && /gateway/.test(service),
    );
    const projection = one(
      spans,
      ({ name, service }) => name === PROCESS && /replay/.test(service),
    );

    expect(request).toMatchObject({ service: 'tidemark-ingest', kind: 'server', parent: spanId });
    expect(request.tags).toMatchObject({
      'http.request.method': 'POST',
      'http.route': '/v1/events',
      'http.response.status_code': 201,
    });
    expect(validate).toMatchObject({ parent: request.id });
    expect(send).toMatchObject({ parent: request.id, kind: 'producer' });
    expect(send.tags).toMatchObject({
      'messaging.system': 'nats',
      'messaging.operation.type': 'send',
      'messaging.destination.name': `tidemark.events.${TOPIC}`,
      'messaging.destination.template': 'tidemark.events.{topic}',
      'cloudevents.event_id': '1',
      'cloudevents.event_source': `/tests/${TOPIC}`,
      'tidemark.cursor': cursor,
      'tidemark.duplicate': false,
    });
    expect(deliveryTrace).toMatchObject({ parent: send.id, kind: 'consumer' });
    expect(deliveryTrace.tags).toMatchObject({ 'w3c.tracestate': TRACESTATE });
    expect(deliveryTrace.tags).toMatchObject({
      'messaging.operation.type': 'process',
      'tidemark.connections': 2,
      'tidemark.cursor': cursor,
    });
    expect(Number(deliveryTrace.tags['tidemark.append_to_last_write_ms'])).toBeGreaterThanOrEqual(
      0,
    );
    expect(projection).toMatchObject({ parent: send.id, kind: 'consumer' });
    expect(projection.tags).toMatchObject({ 'messaging.batch.message_count': 1 });
    expect(catchUp).toMatchObject({ parent: handshake.id });
    expect(catchUp.tags).toMatchObject({
      'tidemark.catch_up.events': 1,
      'tidemark.catch_up.end': 'live',
      'tidemark.catch_up.through': cursor,
    });
    expect(catchUp.links).toContain(spanId);

    const order = [request, validate, send, deliveryTrace, handshake, catchUp].map(
      (span) => span.startUs,
    );
    expect(order).toEqual(order.toSorted((left, right) => left - right));
    socket.close();
  });

  test('an event published over WebSocket: received and appended like one over HTTP', async () => {
    const { traceId, spanId, traceparent } = newTrace();
    const topic = 'traced.web-socket';
    const listener = system.listen('sse', { topics: topic });
    await until(() => listener.live);
    const client = system.open();
    const { connection } = await client.first('welcome');
    const context = { traceparent, tracestate: TRACESTATE };
    client.send({ type: 'publish', id: 'own', event: { ...numbered(topic, 1), ...context } });
    const { cursor } = await client.first('published', 'own');
    const spans = await jaeger.trace(traceId, (found) => found.length >= 4);
    const received = one(spans, ({ name }) => name === 'publish');
    const send = one(spans, ({ name }) => name === SEND);
    expect(received).toMatchObject({ kind: 'server', parent: spanId, service: 'tidemark-gateway' });
    expect(received.tags).toMatchObject({ 'tidemark.connection': connection });
    expect(send).toMatchObject({ kind: 'producer', parent: received.id });
    expect(send.tags).toMatchObject({ 'tidemark.cursor': cursor, 'tidemark.duplicate': false });
    for (const span of spans.filter(({ name }) => name === PROCESS)) {
      expect(span).toMatchObject({ kind: 'consumer', parent: send.id });
    }

    client.send({ type: 'publish', id: 'none', event: numbered(topic, 2) });
    await client.first('published', 'none');
    await untilEvents(listener, 2);
    const [own, begun] = listener.events.map(({ event }) => event);
    expect(own).toMatchObject(context);
    const begunId = String(begun?.traceparent).slice(3, 35);
    await jaeger.trace(begunId, (found) => found.some(({ name }) => name === 'publish'));
  });

  test('a direct publisher: its own context is gone on with, down to the browser', async () => {
    const { traceId, spanId, traceparent } = newTrace();
    const topic = 'traced.direct';
    const listener = system.listen('sse', { topics: topic });
    await until(() => listener.live);
    await withNats(system.nats.url, async (connection) => {
      const context = headers();
      context.set('traceparent', traceparent);
      context.set('tracestate', TRACESTATE);
      const event = JSON.stringify({ specversion: '1.0', ...numbered(topic, 1) });
      await connection.request(`tidemark.events.${topic}`, event, {
        headers: context,
        timeout: 5000,
      });
    });
    await untilEvents(listener, 1);
    expect(listener.events[0]?.event).toMatchObject({ traceparent, tracestate: TRACESTATE });
    const spans = await jaeger.trace(traceId, (found) => found.length >= 2);
    expect(spans.map(({ name, parent }) => ({ name, parent }))).toEqual([
      { name: PROCESS, parent: spanId },
      { name: PROCESS, parent: spanId },
    ]);
    const page = await fetch(`${system.replay.url}/v1/events?topics=${topic}`, {
      headers: { authorization: `Bearer ${system.token}` },
    });
    expect(await page.json()).toMatchObject({ items: [{ event: { traceparent } }] });
  });

  test('a catch-up of many events: links to the first of them, no further than the bound', async () => {
    const topic = 'traced.many';
    const headers = {
      authorization: `Bearer ${system.token}`,
      'content-type': 'application/cloudevents-batch+json',
      traceparent: newTrace().traceparent,
    };
    const events = series(topic, 1, 3 * LINKS_MAX);
    const body = JSON.stringify(events.map((event) => ({ specversion: '1.0', ...event })));
    const stored = await fetch(`${system.ingest.url}/v1/events`, { method: 'POST', headers, body });
    expect(stored.status).toBe(201);
    const { traceId, traceparent } = newTrace();
    const client = await open(traceparent, { topics: [topic], after: 'earliest' });
    const spans = await jaeger.trace(traceId, (found) => found.length >= 2);
    const catchUp = one(spans, ({ name }) => name === 'catch up');
    expect(catchUp.tags).toMatchObject({ 'tidemark.catch_up.events': events.length });
    expect(catchUp.links).toHaveLength(LINKS_MAX);
    await client.close();
  });

  test('a trace that is not sampled: no span anywhere, the context in the event', async () => {
    const { traceId, traceparent } = newTrace('00');
    const listener = system.listen('websocket', { topics: TOPIC });
    await until(() => listener.live);
    await post(traceparent, 2);
    await untilEvents(listener, 1);
    expect(listener.events[0]?.event.traceparent).toBe(traceparent);
    const sampled = newTrace();
    await post(sampled.traceparent, 3);
    // What came later has arrived, so what came before would have.
    await jaeger.trace(sampled.traceId, (spans) => spans.some(({ name }) => name === PROCESS));
    expect((await fetch(`${jaeger.queryUrl}/api/traces/${traceId}`)).status).toBe(404);
  });

  test('trace: true with scope admin: the delivery to that connection is a span of its own', async () => {
    const { traceId, traceparent } = newTrace();
    const topic = 'traced.watched';
    const more = { topics: [topic], trace: true };
    const watched = await open(undefined, more, 'subscribe:> admin');
    const other = system.listen('sse', { topics: topic });
    await until(() => other.live);
    await post(traceparent, 4, topic);
    const spans = await jaeger.trace(traceId, (found) => {
      return found.some(({ name }) => name === 'deliver') && found.length >= 6;
    });
    const delivery = one(spans, ({ name }) => name === 'deliver');
    const deliveryTrace = one(
      spans,
      ({ name, service }) => name === PROCESS && /gateway/.test(service),
    );
    const { connection } = await watched.first('welcome');
    expect(delivery.parent).toBe(deliveryTrace.id);
    expect(delivery.tags).toMatchObject({
      'tidemark.connection': connection,
      'tidemark.transport': 'websocket',
    });
    expect(deliveryTrace.tags['tidemark.connections']).toBe(2);
    await watched.close();
  });

  test('trace: true without scope admin: forbidden, over both transports', async () => {
    const client = system.open();
    await client.first('welcome');
    client.send({ type: 'subscribe', id: 'a', topics: [TOPIC], trace: true });
    expect((await client.first('error', 'a')).code).toBe('forbidden');
    const sse = await fetch(`${system.gateway.url}/v1/sse?topics=${TOPIC}&trace=true`, {
      headers: { authorization: `Bearer ${system.token}` },
    });
    expect(sse.status).toBe(403);
  });

  async function post(traceparent: string, n: number, topic = TOPIC): Promise<{ cursor: string }> {
    const response = await fetch(`${system.ingest.url}/v1/events`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${system.token}`,
        'content-type': 'application/json',
        traceparent,
        tracestate: TRACESTATE,
      },
      body: JSON.stringify(numbered(topic, n)),
    });
    expect(response.status).toBe(201);
    return (await response.json()) as { cursor: string };
  }

  /** A WebSocket client whose handshake belongs to the trace. */
  async function open(traceparent: string | undefined, more: object, scope?: string) {
    const token = scope === undefined ? system.token : await makeToken(scope);
    const headers = traceparent === undefined ? {} : { traceparent };
    const client = new WebSocketClient(system.gateway.url, { token, headers });
    await client.first('welcome');
    client.send({ type: 'subscribe', id: 'only', topics: [TOPIC], ...more });
    await client.first('live', 'only');
    return client;
  }
});

function newTrace(flags = '01') {
  const traceId = randomBytes(16).toString('hex');
  const spanId = randomBytes(8).toString('hex');
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${flags}` };
}

function one(spans: readonly JaegerSpan[], test: (span: JaegerSpan) => boolean): JaegerSpan {
  const found = spans.filter(test);
  expect(found).toHaveLength(1);
  return found[0] as JaegerSpan;
}
