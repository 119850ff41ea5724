import { call } from '../../api/request.ts';
import type { ConnectionList } from '../../api/types.ts';

/** Of a page of the table. The service gives at most 1,000. */
const PAGE_SIZE = 50;

/** What the table is asked for; it is in the address. */
export interface Filters {
  readonly sub: string;
  readonly gateway: string;
  readonly transport: string;
  readonly slow: boolean;
}

/** Which tokens: PROTOCOL 13.1. */
export type Revocation =
  | { readonly sub: string; readonly issuedBefore?: string }
  | { readonly jti: string };

export function listConnections(
  { sub, gateway, transport, slow }: Filters,
  after: string,
  signal: AbortSignal,
): Promise<ConnectionList> {
  const query = { sub, gateway, transport, slow: slow || undefined, after, limit: PAGE_SIZE };
  return call('GET', '/v1/admin/connections', { query, signal });
}

/** Closes them on every gateway; the clients may come back. */
export function disconnect(which: { sub: string } | { connection: string }): Promise<void> {
  return call('POST', '/v1/admin/disconnect', { body: which });
}

export function revoke(which: Revocation): Promise<void> {
  return call('POST', '/v1/admin/revocations', { body: which });
}

export function takeBack(which: Revocation): Promise<void> {
  return call('DELETE', '/v1/admin/revocations', { body: which });
}
