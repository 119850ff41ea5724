import type { Api } from '../http/api.ts';
import { ServiceError } from '../http/service-error.ts';
import type { Item } from './batch-sender.ts';

/** Most events of one source that are looked at: more than a batch that was under way. */
const LOOKED_AT = 1000;

const SOURCES_MAX = 10;

/**
 * Which of these events the log has already, by the newest of their sources. The stream itself recognises
 * repeats for some minutes only (PROTOCOL 10).
 *
 * @returns keys of `keyOf`; `undefined` where the token may not read the history, or nothing has one
 * @throws ServiceError where the history may answer later
 */
export async function findStored(
  api: Api,
  items: readonly Item[],
): Promise<Set<string> | undefined> {
  const found = new Set<string>();
  const sources = [...new Set(items.map(({ source }) => source))].slice(0, SOURCES_MAX);
  try {
    for (const source of sources) {
      const { body } = await api.send<{ items: { event: { id: string; source: string } }[] }>({
        service: 'replay',
        path: '/v1/events',
        query: { source, order: 'desc', limit: String(LOOKED_AT) },
      });
      for (const { event } of body.items) found.add(keyOf(event));
    }
    return found;
  } catch (error) {
    if (error instanceof ServiceError && !error.retryable) return undefined;
    throw error;
  }
}

/** What tells one event from all others of its publisher. */
export function keyOf({ source, id }: { readonly source: string; readonly id: string }): string {
  return `${source}\0${id}`;
}
