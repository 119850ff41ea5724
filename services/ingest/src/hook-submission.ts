import type { IncomingHttpHeaders } from 'node:http';
import {
  type CloudEvent,
  isJsonType,
  stringifyExact,
  TidemarkError,
  toEncoded,
} from '@tidemark/protocol';
import { readAll, requireCount, splitItems } from './batch.ts';
import { parseText, readEvent, readText, type SubmissionContext } from './event-input.ts';
import { type Hook, toEvent } from './hooks/hook.ts';
import { type Pointer, valueAt } from './hooks/template.ts';
import type { Submission } from './submission.ts';

/**
 * Refuses bodies that are not JSON.
 *
 * @throws TidemarkError `unsupported_media_type`
 */
export function requireJson({ 'content-type': contentType = '' }: IncomingHttpHeaders): void {
  if (isJsonType(contentType)) return;
  const isForm = /^application\/x-www-form-urlencoded/i.test(contentType);
  const hint = isForm ? ' Forms are not read: choose JSON where the webhook is set up.' : '';
  throw new TidemarkError('unsupported_media_type', `A webhook sends application/json.${hint}`);
}

/**
 * Makes the events of a webhook's body.
 *
 * @throws TidemarkError that names every fault found
 */
export async function readHookBody(
  headers: IncomingHttpHeaders,
  body: Uint8Array,
  { hook, context }: { readonly hook: Hook; readonly context: SubmissionContext },
): Promise<Submission> {
  const { each } = hook;
  const readOne = (text: string, path: string): CloudEvent => {
    // What is sent becomes `data`, so none of its names is an attribute.
    const value = parseText(text, { depth: 0, path });
    return readEvent(toEvent(hook, { value, text, headers }, { ...context, path }), context, path);
  };
  const split = (): string[] => {
    const text = readText(headers['content-type'], body);
    return each === undefined ? [text] : itemsAt(each, text, context);
  };
  const texts = await context.runStep(split);
  if (each !== undefined) {
    return { batch: true, events: await readAll(texts, context, readOne) };
  }
  return context.runStep(() => ({
    batch: false,
    events: texts.map((text) => toEncoded(readOne(text, ''))),
  }));
}

/** The texts of the items of an array. One inside of an object is parsed with it, and so both are of limited size. */
function itemsAt(pointer: Pointer, text: string, context: SubmissionContext): string[] {
  if (pointer.length === 0) return splitItems(text, context).map((item) => item.trim());
  const document = parseText(text, { depth: pointer.length + 1, evenShort: true });
  const items = valueAt(document, pointer);
  if (Array.isArray(items)) {
    requireCount(items.length, context.batchEventsMax);
    return items.map(stringifyExact);
  }
  const path = `/${pointer.join('/')}`;
  const message = 'is no array, whose items would be the events';
  throw new TidemarkError('invalid_event', `${path} ${message}.`, { faults: [{ path, message }] });
}
