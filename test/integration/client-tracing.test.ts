import { type CloudEvent, connect } from '@tidemark/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Collector, startCollector } from '../support/collector.ts';
import { makeToken } from '../support/services.ts';
import { type System, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

/* The trace of a page goes on in the services: PROTOCOL.md section 6.8. */

/** Trace and span, in bytes that can be read: so the collector shows them as texts. */
const TRACE = 'trace-of-a-page!';
const SPAN = 'a-click!';
const TRACEPARENT = `00-${hex(TRACE)}-${hex(SPAN)}-01`;

let collector: Collector;
let system: System;

beforeAll(async () => {
  collector = await startCollector();
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '100' };
  system = await startSystem({ env });
});
afterAll(async () => {
  await system?.stop();
  await collector?.stop();
});

function hex(text: string): string {
  return Buffer.from(text).toString('hex');
}

test('client: traceparent of the page: is in the stored event, and its spans reach the collector', async () => {
  let traceparent: string | undefined;
  const client = connect({
    url: system.gateway.url,
    ingestUrl: system.ingest.url,
    token: await makeToken('subscribe:> publish:>', 'alice'),
    traceparent: () => traceparent,
  });
  try {
    const found: CloudEvent[] = [];
    const subscription = client.subscribe('traced');
    void subscription.each((event) => found.push(event));
    await subscription.live;
    await client.publish({ type: 'before', topic: 'traced' });
    traceparent = TRACEPARENT;
    await client.publish({ type: 'clicked', topic: 'traced', id: 'the-one-clicked' });
    traceparent = undefined;
    await client.publish({ type: 'after', topic: 'traced' });
    await until(() => found.length === 3);
    const [before, clicked, after] = found;
    expect(clicked?.traceparent).toMatch(new RegExp(`^00-${hex(TRACE)}-[0-9a-f]{16}-01$`));
    for (const other of [before, after]) expect(other?.traceparent).not.toContain(hex(TRACE));
    const has = (text: string) => collector.texts.some((one) => one.includes(text));
    // The span of the page is the parent of that of the request.
    await until(() => has(TRACE) && has(SPAN) && has('the-one-clicked'));
  } finally {
    client.close();
  }
});
