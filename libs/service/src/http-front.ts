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
import { type AdminPort, openAdminPort } from './admin-port.ts';
import type { ServiceParts } from './parts.ts';
import { VERSION } from './version.ts';

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
  const { checkHost } = parts;
  const { checks } = options;
  const allChecks = { ...checks, revocations: () => revocations.isComplete };
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
      checks: allChecks,
      metricsCacheMs: configuration.metricsCacheMs,
      checkHost,
      checkAdminHost: parseHosts({ ...configuration, host: configuration.adminHost }),
    },
    configuration,
  );
  const connectionLimiter = new ConnectionLimiter({ ...configuration, limits });
  const http = new HttpServer(app, logger, { ...configuration, limits, connectionLimiter });
  return {
    http,
    ready: () => Object.values(allChecks).every((check) => check()),
    async listen() {
      onStop(() => http.stop(configuration.drainMs));
      await http.listen(configuration);
      const adminPort = await openAdminPort(admin, configuration, logger);
      onStop(() => adminPort.stop());
    },
  };
}
