import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePorts } from './free-ports.ts';
import { until } from './until.ts';

const CONFIG = fileURLToPath(new URL('../../infra/jaeger/jaeger.yaml', import.meta.url));

/** The Jaeger that the set-up provided; it can build one only where there is a Go toolchain. */
export const JAEGER_BINARY = process.env.TIDEMARK_JAEGER_BIN || undefined;

/** How long a trace may take to be complete. */
const TRACE_TIMEOUT_MS = 20_000;

/** A span as Jaeger's query API tells it. */
export interface JaegerSpan {
  readonly name: string;
  readonly service: string;
  readonly id: string;
  readonly parent: string | undefined;
  /** The spans of other traces that it links to, and further ones of its own. */
  readonly links: readonly string[];
  readonly kind: string;
  readonly startUs: number;
  readonly durationUs: number;
  readonly tags: Readonly<Record<string, unknown>>;
}

export interface Jaeger {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly otlpUrl: string;
  readonly queryUrl: string;
  /** The spans of a trace, by their start, as soon as the condition holds for them. */
  trace(id: string, isComplete: (spans: readonly JaegerSpan[]) => boolean): Promise<JaegerSpan[]>;
  stop(): Promise<void>;
}

/** Starts a real Jaeger with the configuration that is shipped. */
export async function startJaeger(binary: string): Promise<Jaeger> {
  const [query = 0, grpc = 0, otlp = 0] = await freePorts(3);
  const child = spawn(binary, ['--config', CONFIG], {
    env: {
      PATH: process.env.PATH,
      JAEGER_QUERY_PORT: String(query),
      JAEGER_GRPC_PORT: String(grpc),
      JAEGER_OTLP_PORT: String(otlp),
    },
    stdio: 'ignore',
  });
  const killAtExit = () => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const queryUrl = `http://127.0.0.1:${query}`;
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`Jaeger ended with code ${child.exitCode}.`);
    return (await fetch(`${queryUrl}/api/services`).catch(() => undefined))?.ok ?? false;
  }, 'Jaeger');
  return {
    otlpUrl: `http://127.0.0.1:${otlp}`,
    queryUrl,
    async trace(id, isComplete) {
      let spans: JaegerSpan[] = [];
      const names = () => spans.map(({ name, service }) => `${service}: ${name}`).join(', ');
      await until(
        async () => {
          const response = await fetch(`${queryUrl}/api/traces/${id}`);
          const body = (await response.json()) as TraceAnswer;
          spans = (body.data ?? []).flatMap(toSpans);
          return isComplete(spans);
        },
        () => `the trace; there is ${names()}`,
        TRACE_TIMEOUT_MS,
      );
      return spans.sort((left, right) => left.startUs - right.startUs);
    },
    async stop() {
      process.off('exit', killAtExit);
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

interface TraceAnswer {
  readonly data?: readonly Trace[] | null;
}

interface Trace {
  readonly spans: readonly {
    readonly spanID: string;
    readonly operationName: string;
    readonly processID: string;
    readonly startTime: number;
    readonly duration: number;
    readonly references: readonly { refType: string; traceID: string; spanID: string }[];
    readonly tags: readonly { key: string; value: unknown }[];
  }[];
  readonly processes: Readonly<Record<string, { readonly serviceName: string }>>;
}

function toSpans({ spans, processes }: Trace): JaegerSpan[] {
  return spans.map(
    ({ spanID, operationName, processID, startTime, duration, references, tags }) => {
      const byKey = Object.fromEntries(tags.map(({ key, value }) => [key, value]));
      const [parent] = references.filter(({ refType }) => refType === 'CHILD_OF');
      return {
        name: operationName,
        service: processes[processID]?.serviceName ?? '',
        id: spanID,
        parent: parent?.spanID,
        links: references.filter((one) => one !== parent).map((one) => one.spanID),
        kind: String(byKey['span.kind'] ?? ''),
        startUs: startTime,
        durationUs: duration,
        tags: byKey,
      };
    },
  );
}
