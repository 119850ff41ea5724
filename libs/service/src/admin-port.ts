import type { RequestListener } from 'node:http';
import { HttpServer } from '@tidemark/http';
import type { Lifetime } from './process.ts';

/** The port for admin endpoints, health and metrics, apart from the service's own port. */
export interface AdminPort {
  readonly adminHost: string;
  /** 0 opens none. */
  readonly adminPort: number;
}

/**
 * Opens the admin port, if one is configured. It answers until the rest of the service has stopped.
 *
 * @throws ConfigurationError when the address cannot be listened on
 */
export async function openAdminPort(
  application: RequestListener | undefined,
  { adminHost, adminPort }: AdminPort,
  logger: Lifetime['logger'],
): Promise<{ stop(): Promise<void> }> {
  if (!application) return { stop: async () => {} };
  const server = new HttpServer(application, logger.child({ for: 'admin' }));
  await server.listen({ host: adminHost, port: adminPort });
  return { stop: () => server.stop(0) };
}
