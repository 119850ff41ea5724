import { ERROR_CODES } from '@tidemark/protocol';
import fc from 'fast-check';
import type { Service } from '../support/services.ts';
import type { System } from '../support/system.ts';

export interface FuzzRun {
  readonly count: number;
  readonly seed: number;
  readonly system: System;
  /** Called from time to time with the number of inputs done. */
  readonly onProgress?: (done: number) => void;
}

/** The number of times of each outcome, such as `error invalid_json` or `closed 1007`. */
export type Outcomes = Record<string, number>;

/** A place that takes input from outside. @throws Error with the input that broke it */
export type Surface = (run: FuzzRun) => Promise<Outcomes>;

/** Memory that a service may gain in a run. Heaps grow before garbage is collected. */
const GROWTH_BYTES_MAX = 200 * 1024 ** 2;

/** The lowest log level that is a fault: `error` of pino. */
const ERROR_LEVEL = 50;

/** Limits so high that none ends an input before the code behind it. */
export const FUZZ_ENV = {
  TIDEMARK_GATEWAY_MESSAGES_PER_SECOND_MAX: '1000000',
  TIDEMARK_GATEWAY_MESSAGE_BYTES_PER_SECOND_MAX: '1000000000000',
  TIDEMARK_GATEWAY_HANDSHAKES_PER_SECOND_MAX: '1000000',
  TIDEMARK_GATEWAY_PUBLISHES_PER_SECOND_MAX: '1000000',
  TIDEMARK_GATEWAY_PUBLISHES_MAX: '10000',
  TIDEMARK_INGEST_PUBLISHES_PER_SECOND_MAX: '1000000',
  TIDEMARK_HTTP_REFUSALS_PER_SECOND_MAX: '1000000',
  // Small, so that the tail's events do not count as growth.
  TIDEMARK_GATEWAY_TAIL_BYTES_MAX: '1000000',
  // Short, so that half a request ends soon, but long enough on a machine with other work.
  TIDEMARK_HTTP_HEADERS_TIMEOUT_MS: '4000',
  TIDEMARK_HTTP_REQUEST_TIMEOUT_MS: '4000',
};

export function countOutcome(outcomes: Outcomes, what: string): void {
  outcomes[what] = (outcomes[what] ?? 0) + 1;
}

/** Blocks of a thousand inputs, each block with a seed of its own. */
export function* blocks<T>(arbitrary: fc.Arbitrary<T>, run: FuzzRun): Iterable<T[]> {
  const { count, seed, onProgress } = run;
  const size = 1000;
  for (let done = 0; done < count; done += size) {
    onProgress?.(done);
    yield fc.sample(arbitrary, { numRuns: Math.min(size, count - done), seed: seed + done });
  }
}

/** @throws Error for a body that is not a promised error, or that reports a fault of the server */
export function codeOf(body: { readonly code?: unknown }, input: unknown): string {
  const { code } = body;
  if (typeof code === 'string' && Object.hasOwn(ERROR_CODES, code) && code !== 'internal')
    return code;
  throw new Error(`answered ${JSON.stringify(body).slice(0, 500)} to ${show(input)}`);
}

export function show(input: unknown): string {
  return input instanceof Uint8Array
    ? `base64 ${Buffer.from(input).toString('base64')}`
    : JSON.stringify(input);
}

/** Runs a surface, and checks that every service still runs, logged no fault and did not grow. */
export async function fuzz(surface: Surface, run: FuzzRun): Promise<Outcomes> {
  const { gateway, ingest, replay } = run.system;
  const services = [gateway, ingest, replay];
  const before = await Promise.all(services.map(lookAt));
  const outcomes = await surface(run);
  for (const [index, service] of services.entries()) {
    const then = before[index];
    const now = await lookAt(service);
    if (!then || now.pid !== then.pid || !now.healthy) throw new Error(`${service.name} ended`);
    const wrong = service.logs.slice(then.lines).find(({ level }) => Number(level) >= ERROR_LEVEL);
    if (wrong) throw new Error(`${service.name} logged ${JSON.stringify(wrong)}`);
    const growth = now.bytes - then.bytes;
    if (growth > GROWTH_BYTES_MAX) throw new Error(`${service.name} grew by ${growth} bytes`);
    outcomes[`${service.name} grew by MiB`] = Math.round(growth / 1024 ** 2);
  }
  return outcomes;
}

async function lookAt(service: Service) {
  const { ok } = await fetch(`${service.url}/healthz`).catch(() => ({ ok: false }));
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  const bytes = Number(/^process_resident_memory_bytes\{.*\} (\d+)/m.exec(metrics)?.[1]);
  return { pid: service.pid, healthy: ok, bytes, lines: service.logs.length };
}
