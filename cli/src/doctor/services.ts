import { messageOf } from '../base/errors.ts';
import type { ServiceName, Target } from '../profile/target.ts';
import { judgeClock } from './clock.ts';
import { type Finding, fault, note, ok } from './finding.ts';

const ANSWER_MS = 5000;
const SERVICES = ['gateway', 'ingest', 'replay'] as const;

/** What the looks at the services found, and the versions that they named. */
export interface ServiceFindings {
  readonly findings: readonly Finding[];
  /** The services that answer. */
  readonly reachable: ReadonlySet<ServiceName>;
}

/** Looks whether each service answers and is ready, at its clock and at its version. */
export async function checkServices(
  { urls }: Target,
  ownVersion: string,
  signal: AbortSignal,
): Promise<ServiceFindings> {
  const looked = await Promise.all(
    SERVICES.map(async (service) => ({ service, ...(await look(service, urls[service], signal)) })),
  );
  const reachable = new Set(looked.flatMap(({ service, version }) => (version ? [service] : [])));
  const versions = new Map(
    looked.flatMap(({ service, version }) => (version ? [[service, version]] : [])),
  );
  const findings = looked.flatMap((one) => one.findings);
  return { findings: [...findings, ...judgeVersions(versions, ownVersion)], reachable };
}

interface Look {
  readonly findings: readonly Finding[];
  readonly version: string | undefined;
}

async function look(service: ServiceName, url: string, signal: AbortSignal): Promise<Look> {
  const askedMs = Date.now();
  let response: Response;
  let body: { version?: unknown };
  try {
    response = await ask(`${url}/healthz`, signal);
    body = (await response.json()) as { version?: unknown };
  } catch (error) {
    signal.throwIfAborted();
    const isText = error instanceof SyntaxError;
    const text = isText
      ? `${url} answers, and not as a service of Tidemark does.`
      : `${url} does not answer: ${messageOf(error)}.`;
    const advice = `Is ${service} running? Is the URL right (--${service}, or the profile), and does a proxy pass /healthz on?`;
    return { version: undefined, findings: [fault(service, text, advice)] };
  }
  const answeredMs = Date.now();
  if (typeof body.version !== 'string') {
    const text = `${url} answers ${response.status}, and not as a service of Tidemark does.`;
    return { version: undefined, findings: [fault(service, text, 'Is the URL right?')] };
  }
  const theirMs = Date.parse(response.headers.get('date') ?? '');
  const clock = Number.isNaN(theirMs)
    ? []
    : [judgeClock({ check: `${service} clock`, theirMs, askedMs, answeredMs, resolutionMs: 1000 })];
  return {
    version: body.version,
    findings: [await readiness(service, url, signal), ...clock],
  };
}

async function readiness(service: string, url: string, signal: AbortSignal): Promise<Finding> {
  const advice =
    'Its log says what it waits for: NATS, the stream, its archive or the keys of tokens.';
  try {
    const response = await ask(`${url}/readyz`, signal);
    const text = await response.text();
    if (response.ok) return ok(service, `${url} is ready.`);
    return fault(service, `${url} is not ready: ${text.slice(0, 300)}`, advice);
  } catch (error) {
    signal.throwIfAborted();
    return fault(service, `${url} does not say whether it is ready: ${messageOf(error)}.`, advice);
  }
}

function judgeVersions(versions: ReadonlyMap<string, string>, ownVersion: string): Finding[] {
  if (versions.size === 0) return [];
  const different = new Set(versions.values());
  const list = [...versions].map(([service, version]) => `${service} ${version}`).join(', ');
  if (different.size > 1) {
    const advice =
      'During an upgrade that is so for a while: replay first, then ingest and gateways.';
    return [note('versions', `The services have different versions: ${list}.`, advice)];
  }
  const [version = ''] = different;
  if (version === ownVersion) return [ok('versions', `All services have the version ${version}.`)];
  const text = `The services have the version ${version}, and this program ${ownVersion}.`;
  return [note('versions', text, 'Use the program of the same version.')];
}

function ask(url: string, signal: AbortSignal): Promise<Response> {
  return fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]) });
}
