import { messageOf } from '../base/errors.ts';
import type { Api, ApiRequest } from '../http/api.ts';
import { ServiceError } from '../http/service-error.ts';
import type { ServiceName } from '../profile/target.ts';
import { judgeClock } from './clock.ts';
import { type Finding, fault, ok } from './finding.ts';

const ANSWER_MS = 5000;
const SERVICES = ['gateway', 'ingest', 'replay'] as const;

/** What the looks at the services found, and the versions that they named. */
export interface ServiceFindings {
  readonly findings: readonly Finding[];
  /** The services that answer. */
  readonly reachable: ReadonlySet<ServiceName>;
  /** Of those that tell it. */
  readonly versions: readonly (readonly [service: string, version: string])[];
}

interface Look {
  readonly findings: readonly Finding[];
  readonly isReachable: boolean;
  readonly version?: string;
}

/** Looks whether each service answers and is ready, and at its clock. */
export async function checkServices(api: Api, signal: AbortSignal): Promise<ServiceFindings> {
  const looked = await Promise.all(
    SERVICES.map(async (service) => ({ service, ...(await look(api, service, signal)) })),
  );
  return {
    findings: looked.flatMap(({ findings }) => findings),
    reachable: new Set(looked.flatMap((one) => (one.isReachable ? [one.service] : []))),
    versions: looked.flatMap(({ service, version }) => (version ? [[service, version]] : [])),
  };
}

async function look(api: Api, service: ServiceName, signal: AbortSignal): Promise<Look> {
  const url = api.url(service);
  const askedMs = Date.now();
  let response: Response;
  try {
    response = await ask(`${url}/healthz`, signal);
  } catch (error) {
    signal.throwIfAborted();
    const advice = `Is ${service} running? Is the URL right (--${service}, or the profile)?`;
    const text = `${url} does not answer: ${messageOf(error)}.`;
    return { isReachable: false, findings: [fault(service, text, advice)] };
  }
  const answeredMs = Date.now();
  const version = await versionOf(response);
  // Behind one URL it is the health of any of them.
  const isShared = SERVICES.some((other) => other !== service && api.url(other) === url);
  const ready =
    version === undefined || isShared ? undefined : await readiness(service, url, signal);
  if (version === undefined || ready === undefined) return probe(api, service, signal);
  const theirMs = Date.parse(response.headers.get('date') ?? '');
  const clock = Number.isNaN(theirMs)
    ? []
    : [judgeClock({ check: `${service} clock`, theirMs, askedMs, answeredMs, resolutionMs: 1000 })];
  return { isReachable: true, version, findings: [ready, ...clock] };
}

/** `undefined` where no service of Tidemark answers. */
async function versionOf(response: Response): Promise<string | undefined> {
  const body = (await response.json().catch(() => undefined)) as { version?: unknown } | undefined;
  return typeof body?.version === 'string' ? body.version : undefined;
}

/** `undefined` where a proxy keeps that to itself. */
async function readiness(
  service: string,
  url: string,
  signal: AbortSignal,
): Promise<Finding | undefined> {
  const advice =
    'Its log says what it waits for: NATS, the stream, its archive or the keys of tokens.';
  try {
    const response = await ask(`${url}/readyz`, signal);
    const text = await response.text();
    if (response.ok) return ok(service, `${url} is ready.`);
    if (response.status === 404) return undefined;
    return fault(service, `${url} is not ready: ${text.slice(0, 300)}`, advice);
  } catch (error) {
    signal.throwIfAborted();
    return fault(service, `${url} does not say whether it is ready: ${messageOf(error)}.`, advice);
  }
}

/** Requests that change nothing, for services behind a proxy that does not tell their health. */
const PROBES: Readonly<Record<string, ApiRequest>> = {
  gateway: { path: '/v1/head' },
  ingest: {
    method: 'POST',
    path: '/v1/events',
    // A batch of no events.
    text: '[]',
    headers: { 'content-type': 'application/cloudevents-batch+json' },
  },
  replay: { path: '/v1/topics', query: { limit: '1' } },
};

async function probe(api: Api, service: ServiceName, signal: AbortSignal): Promise<Look> {
  const url = api.url(service);
  try {
    await api.open({
      ...PROBES[service],
      path: PROBES[service]?.path ?? '/',
      service,
      attempts: 1,
    });
  } catch (error) {
    signal.throwIfAborted();
    const isAnswer = error instanceof ServiceError && error.status > 0 && error.status < 500;
    // What a service says of the token is an answer too, and told elsewhere.
    if (!isAnswer || error.status === 404) {
      const text = `${url} is no ${service} of Tidemark, or its proxy does not reach it: ${messageOf(error)}`;
      const advice = `Is the URL right (--${service}, or the profile)? Does the proxy pass ${PROBES[service]?.path} on to it?`;
      return { isReachable: false, findings: [fault(service, text, advice)] };
    }
  }
  const text = `${url} answers, through a proxy that does not tell whether it is ready.`;
  return { isReachable: true, findings: [ok(service, text)] };
}

function ask(url: string, signal: AbortSignal): Promise<Response> {
  return fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]) });
}
