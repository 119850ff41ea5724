import { randomUUID } from 'node:crypto';
import { DiagLogLevel, diag, trace } from '@opentelemetry/api';
import type { Logger } from './logger.ts';
import { Tracer } from './tracer.ts';

/** How long the end of a process waits until its last spans are sent. */
const FLUSH_MS = 2000;

/** Least time between two log lines about problems of tracing. */
const COMPLAINT_MS = 60_000;

/** Tracing of one process. */
export interface Tracing {
  readonly tracer: Tracer;
  /** Sends the remaining spans, for at most 2 s. */
  stop(): Promise<void>;
}

const OFF: Tracing = { tracer: new Tracer(), stop: async () => {} };

/** What traces are named after, and where they go. */
export interface TracingOptions {
  readonly service: string;
  /** Environment variables. The SDK reads the standard `OTEL_*` ones from the process itself. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
}

/**
 * Starts tracing where the environment names an OTLP endpoint. Otherwise the SDK is not loaded. Metrics
 * and logs never go through the SDK: they are at `/metrics` and on standard output.
 *
 * @example await startTracing({ service: 'ingest', environment: process.env, logger })
 */
export async function startTracing(options: TracingOptions): Promise<Tracing> {
  const { service, environment, logger } = options;
  if (!isWanted(environment)) return OFF;
  const [{ NodeSDK }, resources] = await Promise.all([
    import('@opentelemetry/sdk-node'),
    import('@opentelemetry/resources'),
  ]);
  diag.setLogger(complaintsTo(logger), {
    logLevel: DiagLogLevel.WARN,
    suppressOverrideMessage: true,
  });
  const sdk = new NodeSDK({
    serviceName: environment.OTEL_SERVICE_NAME || `tidemark-${service}`,
    resource: resources.resourceFromAttributes({
      'service.namespace': 'tidemark',
      'service.instance.id': randomUUID(),
    }),
    resourceDetectors: [resources.envDetector, resources.hostDetector],
    // Spans get their parents as arguments; see `Tracer`.
    contextManager: null as never,
    textMapPropagator: null,
    metricReaders: [],
    logRecordProcessors: [],
  });
  sdk.start();
  return {
    tracer: new Tracer(trace.getTracer('tidemark')),
    stop: async () => {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, FLUSH_MS);
      });
      await Promise.race([sdk.shutdown().catch((error) => diag.warn(String(error))), late]);
      clearTimeout(timer);
      trace.disable();
    },
  };
}

function isWanted(environment: TracingOptions['environment']): boolean {
  const { OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER } = environment;
  if (OTEL_SDK_DISABLED?.toLowerCase() === 'true' || OTEL_TRACES_EXPORTER === 'none') return false;
  return Boolean(
    environment.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || environment.OTEL_EXPORTER_OTLP_ENDPOINT,
  );
}

function complaintsTo(logger: Logger) {
  let lastMs = Number.NEGATIVE_INFINITY;
  const complain = (message: string): void => {
    const nowMs = performance.now();
    if (nowMs - lastMs < COMPLAINT_MS) return;
    lastMs = nowMs;
    logger.warn({ reason: message }, 'tracing reports a problem');
  };
  const quiet = (): void => {};
  return { error: complain, warn: complain, info: quiet, debug: quiet, verbose: quiet };
}
