import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Channel,
  ConnectionLimiter,
  createApps,
  type Endpoint,
  HttpServer,
  type OpenPage,
  parseHosts,
  type ServerOptions,
} from '@tidemark/http';
import type { ServiceParts } from './parts.ts';
import { VERSION } from './version.ts';

/**
 * Whether the kernel divides new connections among the processes that listen on a port, which costs nothing. Elsewhere,
 * and for a port that is still to be chosen, the parent takes each connection and hands it on.
 */
const KERNEL_DIVIDES = process.platform === 'linux' || process.platform === 'freebsd';

/** The port for admin endpoints, health and metrics, apart from the service's own port. */
export interface AdminPort {
  readonly adminHost: string;
  /** 0 opens none. */
  readonly adminPort: number;
}

/** The settings of the HTTP side of a service. */
export interface FrontConfiguration extends ServerOptions, AdminPort {
  readonly host: string;
  readonly port: number;
  readonly drainMs: number;
  readonly socketsPerAddressMax: number;
  readonly trustedProxies: string;
  readonly allowedHosts: string;
  readonly metricsCacheMs: number;
}

/** What the HTTP side of a service serves. */
export interface FrontOptions {
  readonly endpoints: readonly Endpoint[];
  readonly adminEndpoints?: readonly Endpoint[];
  /** What both ports have. */
  readonly commonEndpoints?: readonly Endpoint[];
  /** What the admin port answers to a GET without a token; the one port where there is none. */
  readonly adminPages?: readonly OpenPage[];
  /** What it answers to a GET without a token. */
  readonly pages?: readonly OpenPage[];
  /** What `/asyncapi.json` describes. */
  readonly channels: readonly Channel[];
  /** The checks of `/readyz`, which `revocations` is added to. The service is ready while all are true. */
  readonly checks: Readonly<Record<string, () => boolean>>;
}

/** The HTTP side of a service: its own port, and the admin port where one is configured. */
export interface HttpFront {
  readonly http: HttpServer;
  /** Whether all checks are true now. */
  readonly ready: () => boolean;
  /**
   * Listens on both ports. It registers the steps that close them at the stop: first the service's own
   * port, within `drainMs`, then the admin port.
   *
   * @throws ConfigurationError when an address cannot be listened on
   */
  listen(): Promise<void>;
}

/** Creates the HTTP side of a service. `/readyz` answers with 503 until all checks are true. */
export function createHttpFront(
  parts: ServiceParts,
  configuration: FrontConfiguration,
  options: FrontOptions,
): HttpFront {
  const { logger, metrics, tracer, limits, origins, authenticate, revocations, onStop } = parts;
  const { checkHost, siblings } = parts;
  const ownChecks = { ...options.checks, revocations: () => revocations.isComplete };
  const ready = () => Object.values(ownChecks).every((check) => check());
  const checks = {
    ...ownChecks,
    ...(siblings.count > 1 && { processes: () => siblings.othersReady }),
  };
  const { app, admin } = createApps(
    {
      version: VERSION,
      service: parts.name,
      ...options,
      logger,
      metrics,
      tracer,
      authenticate,
      refusalLog: parts.refusalLog,
      addressOf: (request) => parts.refusedAddresses.addressOf(request),
      origins,
      limits,
      checks,
      collectMetrics: siblings.shareMetrics(() => metrics.registry.metrics()),
      metricsCacheMs: configuration.metricsCacheMs,
      checkHost,
      checkAdminHost: parseHosts({ ...configuration, host: configuration.adminHost }),
    },
    configuration,
  );
  const connectionLimiter = new ConnectionLimiter({ ...configuration, limits });
  const http = new HttpServer(app, logger, { ...configuration, limits, connectionLimiter });
  const adminHttp = admin && new HttpServer(admin, logger.child({ for: 'admin' }));
  const open = async () => {
    const reusePort = siblings.count > 1 && KERNEL_DIVIDES;
    const { host, port, adminHost, adminPort } = configuration;
    await http.listen({ host, port, reusePort: reusePort && port !== 0 });
    await adminHttp?.listen({ host: adminHost, port: adminPort, reusePort });
    siblings.announce(ready);
  };
  return {
    http,
    ready,
    async listen() {
      onStop(() => http.stop(configuration.drainMs));
      onStop(() => adminHttp?.stop(0));
      if (siblings.successor) void openWhenReady(parts, ready, open);
      else await open();
    },
  };
}

/** How long one that takes the place of another waits until it is ready before it listens, in ms. */
const SUCCESSOR_WAIT_MS = 10_000;
const SUCCESSOR_POLL_MS = 20;

/** The others serve meanwhile; whoever came to this one before would be refused. */
async function openWhenReady(
  { signal }: ServiceParts,
  ready: () => boolean,
  open: () => Promise<void>,
): Promise<void> {
  const deadlineMs = performance.now() + SUCCESSOR_WAIT_MS;
  while (!ready() && performance.now() < deadlineMs) await sleep(SUCCESSOR_POLL_MS);
  if (!signal.aborted) await open();
}
