import { call } from '../../api/request.ts';
import { useResource } from '../../ui/use-resource.ts';

const EVERY_MS = 1000;

/** The end of the log, as a gateway tells it (PROTOCOL.md section 4.1); asked for each second. */
export function useHead(): string | undefined {
  const load = async (signal: AbortSignal) =>
    (await call<{ cursor: string }>('GET', '/v1/head', { signal })).cursor;
  return useResource('head', load, { everyMs: EVERY_MS }).data;
}
