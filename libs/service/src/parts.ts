import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { RevocationList } from '@tidemark/auth';
import type {
  AddressConfiguration,
  NatsConfiguration,
  RecordConfiguration,
  TokenConfiguration,
} from '@tidemark/config';
import {
  type Authenticate,
  type CheckHost,
  type Confirm,
  configureAuthentication,
  confirmWith,
  type HostConfiguration,
  Limits,
  type Origins,
  parseHosts,
  parseOrigins,
  RefusalLog,
  RefusedAddresses,
} from '@tidemark/http';
import { createSeal, NatsLink, type RecordSeal, toLinkOptions } from '@tidemark/nats';
import { Metrics } from '@tidemark/telemetry';
import type { Lifetime } from './process.ts';
import { VERSION } from './version.ts';

/** Most characters of the host in the name of a process. */
const HOST_LENGTH_MAX = 60;

/** The settings that every service has. */
export type CommonConfiguration = NatsConfiguration &
  RecordConfiguration &
  TokenConfiguration &
  AddressConfiguration &
  HostConfiguration & { readonly allowedOrigins: string };

/** The parts that every service is built from. */
export interface ServiceParts extends Lifetime {
  /** `ingest`, `gateway` or `replay`. */
  readonly name: string;
  /** Names this process among those of the deployment: the host, and random digits. */
  readonly instance: string;
  readonly metrics: Metrics;
  readonly limits: Limits;
  /** Not connected yet. The service connects it when its port listens. */
  readonly link: NatsLink;
  /** Not complete yet. The service follows the revocations when NATS is connected. */
  readonly revocations: RevocationList;
  /** Of the revocations and tickets that services store. */
  readonly seal: RecordSeal;
  readonly origins: Origins;
  /** Refuses requests to a name that the service does not have. */
  readonly checkHost: CheckHost;
  readonly authenticate: Authenticate;
  /** `authenticate` counts for it; what else checks tokens or tickets must do so too. */
  readonly refusedAddresses: RefusedAddresses;
  readonly confirm: Confirm;
  /** For lines about refused requests. */
  readonly refusalLog: RefusalLog;
}

/**
 * Creates the parts that every service has. It neither waits nor connects.
 *
 * @param name `ingest`, `gateway` or `replay`: names the metrics and the client in NATS
 * @throws ConfigurationError where a key or origin cannot be accepted, or a file cannot be read
 */
export function createParts(
  name: string,
  configuration: CommonConfiguration,
  lifetime: Lifetime,
): ServiceParts {
  const { logger } = lifetime;
  const { number } = lifetime.siblings;
  const metrics = new Metrics(name, number === undefined ? {} : { process: String(number) });
  metrics.gaugeBy(
    { name: 'build_info', help: 'Always 1; names the version.', label: 'version' },
    () => ({
      [VERSION]: 1,
    }),
  );
  const limits = new Limits(metrics, lifetime.siblings);
  const revocations = new RevocationList(configuration);
  const origins = parseOrigins(configuration.allowedOrigins);
  const refusedAddresses = new RefusedAddresses(configuration, limits);
  const parts = { logger, revocations, origins, limits, refusedAddresses };
  const authenticate = configureAuthentication(configuration, parts);
  const seal = createSeal(configuration);
  const link = new NatsLink({
    ...toLinkOptions(configuration),
    name: `tidemark-${name}`,
    logger,
  });
  metrics.total(
    'nats_faults_total',
    'Times that the process threw while it processed what NATS delivered.',
    () => link.faults,
  );
  return {
    ...lifetime,
    name,
    instance: createInstanceName(),
    metrics,
    limits,
    revocations,
    seal,
    origins,
    checkHost: parseHosts(configuration),
    link,
    authenticate,
    refusedAddresses,
    refusalLog: new RefusalLog(logger),
    confirm: confirmWith(revocations),
  };
}

function createInstanceName(): string {
  const host = hostname()
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .slice(0, HOST_LENGTH_MAX);
  return `${host}-${randomBytes(4).toString('hex')}`;
}
