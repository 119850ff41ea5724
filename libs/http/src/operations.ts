import type { RequestListener } from 'node:http';
import type { Lifetime } from './process.ts';
import { HttpServer } from './server.ts';

export interface OperationsPort {
  readonly adminHost: string;
  /** 0 opens none. */
  readonly adminPort: number;
}

/** Opens the operators' port, where there is one. It answers until the rest has stopped. */
export async function listenForOperators(
  operations: RequestListener | undefined,
  { adminHost, adminPort }: OperationsPort,
  log: Lifetime['log'],
): Promise<{ stop(): Promise<void> }> {
  if (!operations) return { stop: async () => {} };
  const server = new HttpServer(operations, log.child({ for: 'operators' }));
  await server.listen({ host: adminHost, port: adminPort });
  return { stop: () => server.stop(0) };
}
