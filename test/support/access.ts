import { makeToken } from './services.ts';
import type { System } from './system.ts';
import { until } from './until.ts';

/** The services that a token is shown to. */
type Services = Pick<System, 'gateways' | 'ingest' | 'replay'>;

/** The status that a service gives to a request with a token, for a topic of its own. */
export async function statusOf(
  { ingest, replay }: Services,
  base: string,
  token: string,
): Promise<number> {
  const headers = { authorization: `Bearer ${token}` };
  if (base === ingest.url) {
    const body = JSON.stringify({ type: 'access.probe', data: 1 });
    const json = { ...headers, 'content-type': 'application/json' };
    return (await fetch(`${base}/v1/events`, { method: 'POST', headers: json, body })).status;
  }
  if (base === replay.url) {
    return (await fetch(`${base}/v1/events?topics=access.probe`, { headers })).status;
  }
  const stream = await fetch(`${base}/v1/sse?topics=access.probe`, { headers });
  await stream.body?.cancel();
  return stream.status;
}

/** Waits until every service refuses the token. */
export async function untilRefusedEverywhere(system: Services, token: string): Promise<void> {
  for (const { url } of [...system.gateways, system.ingest, system.replay]) {
    await until(async () => (await statusOf(system, url, token)) === 401, `401 at ${url}`);
  }
}

/** Revokes all tokens of a user, and waits until every service has heard of it. */
export async function revokeUser(system: System, sub: string): Promise<void> {
  const headers = { authorization: `Bearer ${await makeToken('admin', 'operator')}` };
  const url = `${system.gateway.url}/v1/admin/revocations`;
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ sub }) });
  if (answer.status !== 204) throw new Error(`The revocation was answered with ${answer.status}.`);
  await untilRefusedEverywhere(system, await makeToken('publish:> subscribe:> history:>', sub));
}
