import type { ArchivedEvent } from '@tidemark/protocol';

/**
 * Tells whether an event has an id. No index has ids: most events are told apart by one search in their JSON, which
 * services write as `JSON.stringify` does.
 *
 * @example events.filter(withId('7'))
 */
export function withId(id: string): (event: Pick<ArchivedEvent, 'json'>) => boolean {
  const quoted = JSON.stringify(id);
  return ({ json }) => json.includes(quoted) && JSON.parse(json).id === id;
}
