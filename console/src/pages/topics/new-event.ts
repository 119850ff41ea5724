import type { CloudEvent } from '../../api/types.ts';
import { isTopic } from '../../events/grants.ts';
import type { Item } from '../../events/history.ts';
import { readJson } from '../../events/shape.ts';

/** An event has 256 KiB at most as JSON (PROTOCOL.md section 3), of which its attributes need a part. */
export const DATA_BYTES_MAX = 250 * 1024;
const TYPE_CHARACTERS_MAX = 1024;
const TYPES_MAX = 50;

/** The types of events, newest first, each with its newest event. */
export function seenTypes(items: readonly Item[]): ReadonlyMap<string, CloudEvent> {
  const types = new Map<string, CloudEvent>();
  for (const { event } of items) {
    if (!types.has(event.type)) types.set(event.type, event);
    if (types.size >= TYPES_MAX) break;
  }
  return types;
}

/** What is wrong with what was typed, for a person; `undefined` where the event can be sent. */
export function faultOf(
  { topic, type, data }: { readonly topic: string; readonly type: string; readonly data: string },
  mayPublish: (topic: string) => boolean,
): string | undefined {
  if (topic === '') return 'The topic is missing, such as orders.42.';
  if (!isTopic(topic))
    return 'A topic has tokens of A-Z a-z 0-9 _ - with dots between, such as orders.42.';
  if (!mayPublish(topic)) return 'The token may not publish to this topic.';
  if (type === '' || type.length > TYPE_CHARACTERS_MAX)
    return 'The type is missing, such as order.paid.';
  const read = readJson(data);
  if ('fault' in read) return read.fault;
  if (new TextEncoder().encode(data).length > DATA_BYTES_MAX) return 'The data is too large.';
  return undefined;
}
