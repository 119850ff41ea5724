import { TidemarkError } from '@tidemark/protocol';
import { createLogger, Metrics, NO_SPAN, type SpanOptions, Tracer } from '@tidemark/telemetry';
import { afterEach, expect, test } from 'vitest';
import { createApp } from './app.ts';
import { answerJson } from './json-answer.ts';
import { HttpServer } from './server.ts';

const logger = createLogger('test', 'silent');
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

let http: HttpServer | undefined;
afterEach(() => http?.stop(0));

/** As far as `observe` uses it. */
class RecordingTracer extends Tracer {
  readonly parents: SpanOptions['parent'][] = [];

  override get enabled(): boolean {
    return true;
  }

  override span(_name: string, { parent }: SpanOptions = {}) {
    this.parents.push(parent);
    return NO_SPAN;
  }
}

const described = { summary: 'For a test', answers: { 200: { means: 'It works.' } } };

async function serve(options: { tracer?: Tracer; metrics?: Metrics; metricsCacheMs?: number }) {
  const app = createApp({
    logger,
    metrics: new Metrics('test', { defaults: false }),
    checks: {},
    async authenticate({ headers }) {
      if (headers.authorization === undefined) throw new TidemarkError('unauthenticated', 'No.');
      return { subject: 'alice', grants: [], admin: false, expiresAtMs: 0 };
    },
    endpoints: [
      {
        path: '/v1/a',
        methods: { GET: { ...described, serve: (_, response) => void response.end() } },
      },
      {
        path: '/v1/bare',
        methods: {
          GET: { ...described, bare: true, serve: (_, response) => answerJson(response, 200, '1') },
        },
      },
    ],
    ...options,
  });
  http = new HttpServer(app, logger);
  return `http://127.0.0.1:${await http.listen({ host: '127.0.0.1', port: 0 })}`;
}

test.each(['/v1/a', '/v1/bare'])(
  'request with a sampled flag: its trace goes on only with a valid token: %s',
  async (own) => {
    const tracer = new RecordingTracer();
    const url = await serve({ tracer });
    const traced = { traceparent: TRACEPARENT };
    for (const path of [own, '/v1/nowhere']) {
      await (await fetch(url + path, { headers: traced })).text();
    }
    const unsampled = { traceparent: TRACEPARENT.replace(/01$/, '00') };
    await expect.poll(() => tracer.parents).toEqual([unsampled, unsampled]);
    const headers = { ...traced, authorization: 'Bearer x' };
    await (await fetch(url + own, { headers })).text();
    expect(tracer.parents[2]).toMatchObject({ traceparent: TRACEPARENT });
    expect(tracer.parents).toHaveLength(3);
  },
);

test('metrics: many requests at one time: collected once; later ones again', async () => {
  const collect = async (metricsCacheMs: number) => {
    const metrics = new Metrics('test', { defaults: false });
    let collections = 0;
    metrics.gauge('collections', 'How often.', () => ++collections);
    const url = await serve({ metrics, metricsCacheMs });
    const read = async () => (await fetch(`${url}/metrics`)).text();
    const texts = await Promise.all(Array.from({ length: 20 }, read));
    const later = await read();
    await http?.stop(0);
    return { collections, texts: new Set([...texts, later]).size };
  };
  expect(await collect(60_000)).toEqual({ collections: 1, texts: 1 });
  expect(await collect(0)).toEqual({ collections: 21, texts: 21 });
});
