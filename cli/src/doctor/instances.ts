import { messageOf } from '../base/errors.ts';
import { wait } from '../base/wait.ts';
import type { Api } from '../http/api.ts';
import { ServiceError } from '../http/service-error.ts';
import { formatDuration } from '../output/format.ts';
import { type Finding, fault, note, ok, skipped } from './finding.ts';

/** What is used of `GET /v1/admin/stats`. */
interface Instance {
  readonly service: string;
  readonly instance: string;
  readonly version: string;
  readonly seenMs: number;
  readonly ready: boolean;
  readonly store?: string;
}

type Version = readonly [service: string, version: string];

/** Each announces itself once a second. */
const SILENT_MS = 5000;

/** What was announced before something became ready is old by then. */
const AGAIN_MS = 1500;

/** Looks at every process of the deployment, also those behind a proxy, as a gateway hears of them. */
export async function checkInstances(
  api: Api,
  signal: AbortSignal,
): Promise<{ readonly findings: readonly Finding[]; readonly versions: readonly Version[] }> {
  let instances: readonly Instance[];
  try {
    instances = await ask(api);
    if (instances.some(({ ready }) => !ready)) {
      await wait(AGAIN_MS, signal);
      instances = await ask(api);
    }
  } catch (error) {
    signal.throwIfAborted();
    const isMissing = error instanceof ServiceError && error.status === 404;
    const advice = isMissing
      ? 'Name the admin port of a gateway with --admin.'
      : 'Give a token with admin, and a gateway that has NATS.';
    return { versions: [], findings: [skipped('instances', messageOf(error), advice)] };
  }
  const wrong = instances.flatMap(judge);
  const kinds = ['gateway', 'ingest', 'replay'].map((kind) => {
    return `${instances.filter(({ service }) => service === kind).length} of ${kind}`;
  });
  return {
    versions: instances.map(({ service, instance, version }) => [
      `${service} ${instance}`,
      version,
    ]),
    findings: wrong.length > 0 ? wrong : [ok('instances', `All are well: ${kinds.join(', ')}.`)],
  };
}

async function ask(api: Api): Promise<readonly Instance[]> {
  const request = { service: 'gatewayAdmin', path: '/v1/admin/stats', attempts: 2 } as const;
  return (await api.send<{ services: Instance[] }>(request)).body.services;
}

function judge({ service, instance, seenMs, ready, store }: Instance): Finding[] {
  const name = `${service} ${instance}`;
  if (seenMs > SILENT_MS) {
    const text = `${name} has said nothing for ${formatDuration(seenMs)}.`;
    return [note('instances', text, 'It was stopped a moment ago, hangs, or has lost NATS.')];
  }
  const advice = 'Its log says what it waits for.';
  if (!ready) return [fault('instances', `${name} is not ready.`, advice)];
  if (store === undefined || store === 'ok') return [];
  return [fault('instances', `${name} cannot store events: the stream is ${store}.`, advice)];
}

/** Compares the versions of all services with each other and with that of this program. */
export function judgeVersions(versions: readonly Version[], ownVersion: string): Finding[] {
  const different = new Set(versions.map(([, version]) => version));
  const list = versions.map(([service, version]) => `${service} ${version}`).join(', ');
  if (different.size === 0) return [];
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
