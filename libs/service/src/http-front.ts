import {
  ConnectionLimiter,
  createApps,
  type Endpoint,
  HttpServer,
  type ServerOptions,
} from '@tidemark/http';
import { type AdminPort, openAdminPort } from './admin-port.ts';
import type { ServiceParts } from './parts.ts';

export interface FrontConfiguration extends ServerOptions, AdminPort {
  readonly host: string;
  readonly port: number;
  readonly drainMs: number;
  readonly socketsPerAddressMax: number;
  readonly trustedProxies: string;
}

export interface FrontOptions {
  readonly endpoints: readonly Endpoint[];
  readonly adminEndpoints?: readonly Endpoint[];
  /** The service is ready while all of these are true; `revocations` is added. */
  readonly checks: Readonly<Record<string, () => boolean>>;
}

/** The HTTP side of a service: its own port, and the admin port where one is configured. */
export interface HttpFront {
  readonly http: HttpServer;
  /**
   * Listens on both ports, and registers the steps that close them at the stop: first the service's
   * own, with the drain, then the admin port.
   *
   * @throws ConfigurationError when an address cannot be listened on
   */
  listen(): Promise<void>;
}

/** Creates the HTTP side of a service, which answers with 503 until its checks are true. */
export function createHttpFront(
  parts: ServiceParts,
  configuration: FrontConfiguration,
  { endpoints, adminEndpoints = [], checks }: FrontOptions,
): HttpFront {
  const { logger, metrics, tracer, limits, origins, authenticate, revocations, onStop } = parts;
  const { app, admin } = createApps(
    {
      logger,
      metrics,
      tracer,
      authenticate,
      origins,
      limits,
      checks: { ...checks, revocations: () => revocations.isComplete },
      endpoints,
      adminEndpoints,
    },
    configuration,
  );
  const connectionLimiter = new ConnectionLimiter({ ...configuration, limits });
  const http = new HttpServer(app, logger, { ...configuration, limits, connectionLimiter });
  return {
    http,
    async listen() {
      onStop(() => http.stop(configuration.drainMs));
      await http.listen(configuration);
      const adminPort = await openAdminPort(admin, configuration, logger);
      onStop(() => adminPort.stop());
    },
  };
}
