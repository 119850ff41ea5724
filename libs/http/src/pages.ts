import type { RequestHandler } from 'express';
import { z } from 'zod';
import type { AppOptions, Endpoint } from './app.ts';
import { asyncApiDocument } from './contract/asyncapi.ts';
import type { Description } from './contract/description.ts';
import { serveDocument } from './contract/documents.ts';
import { type DescribedOperation, openApiDocument } from './contract/openapi.ts';

/** What every service answers to a GET without a token: health, metrics and documents. */
export interface OpenPage {
  readonly path: string;
  /** Absent for what is no part of the API, such as a page for people. */
  readonly description?: Description;
  readonly serve: RequestHandler;
}

const health = z.strictObject({ status: z.literal('ok'), version: z.string().optional() });
const readiness = z.strictObject({ ready: z.boolean(), checks: z.record(z.string(), z.boolean()) });
const json = (schema: z.ZodType) => ({ 'application/json': schema });

/** `/healthz` and `/readyz`. */
export function healthPages({ checks, version }: AppOptions): OpenPage[] {
  return [
    {
      path: '/healthz',
      description: {
        summary: 'Whether the process answers',
        answers: { 200: { means: 'It does.', content: json(health) } },
      },
      serve: (_request, response) => {
        response.json({ status: 'ok', version });
      },
    },
    {
      path: '/readyz',
      description: {
        summary: 'Whether the service is ready',
        answers: {
          200: { means: 'All checks are true.', content: json(readiness) },
          503: {
            means: 'The checks that are false say what is missing.',
            content: json(readiness),
          },
        },
      },
      serve: (_request, response) => {
        const results = Object.entries(checks).map(([name, check]) => [name, check()] as const);
        const ready = results.every(([, result]) => result);
        response.status(ready ? 200 : 503).json({ ready, checks: Object.fromEntries(results) });
      },
    },
  ];
}

/** `/metrics`. Collecting takes milliseconds, so many requests at one time get one answer. */
export function metricsPage(options: AppOptions): OpenPage {
  const { metrics, metricsCacheMs = 0 } = options;
  const { registry } = metrics;
  const { collectMetrics = () => registry.metrics() } = options;
  let collected: Promise<string> | undefined;
  let collectedMs = 0;
  return {
    path: '/metrics',
    description: {
      summary: 'The metrics, for Prometheus',
      answers: { 200: { means: 'All of them.', content: { 'text/plain': z.string() } } },
    },
    serve: async (_request, response) => {
      const nowMs = performance.now();
      if (!collected || nowMs - collectedMs >= metricsCacheMs) {
        collected = collectMetrics();
        collectedMs = nowMs;
      }
      const text = await collected;
      response.set('Content-Type', registry.contentType).end(text);
    },
  };
}

/** `/openapi.json` and `/asyncapi.json`, which describe these and all other paths of the application. */
export function documentPages(
  { service = 'service', version = '0', channels = [] }: AppOptions,
  others: readonly (OpenPage | Endpoint)[],
): OpenPage[] {
  const info = {
    title: `Tidemark ${service}`,
    version,
    description: 'PROTOCOL.md of Tidemark says what the words mean, and is normative.',
  };
  const own = { openapi: describeDocument('OpenAPI'), asyncapi: describeDocument('AsyncAPI') };
  const operations = others.flatMap(describe);
  for (const [name, description] of Object.entries(own)) {
    operations.push({
      path: `/${name}.json`,
      method: 'GET',
      description,
      credentials: [],
      postpones: false,
    });
  }
  const documents = {
    openapi: openApiDocument(info, operations),
    asyncapi: asyncApiDocument(info, channels),
  };
  return (['openapi', 'asyncapi'] as const).map((name) => ({
    path: `/${name}.json`,
    description: own[name],
    serve: serveDocument(documents[name]),
  }));
}

function describeDocument(kind: string): Description {
  return {
    summary: `The ${kind} document of the service`,
    headers: z.object({ 'If-None-Match': z.string().optional() }),
    answers: {
      200: {
        means: 'The document.',
        content: json(z.looseObject({})),
        headers: z.object({ ETag: z.string() }),
      },
      304: { means: 'It is the one that the client has.', headers: z.object({ ETag: z.string() }) },
    },
  };
}

function describe(one: OpenPage | Endpoint): DescribedOperation[] {
  const { path } = one;
  if (!('methods' in one)) {
    const { description } = one;
    if (!description) return [];
    return [{ path, method: 'GET', description, credentials: [], postpones: false }];
  }
  const { methods, options, credentials = ['token'] } = one;
  const postpones = one.postpone !== undefined;
  const described: DescribedOperation[] = Object.entries(methods).map(([method, description]) => {
    return { path, method, description, credentials, postpones };
  });
  if (options)
    described.push({
      path,
      method: 'OPTIONS',
      description: options,
      credentials: [],
      postpones: false,
    });
  return described;
}
