import { encodeTopicToken } from '@tidemark/protocol';
import type { CheckSignature } from './signature.ts';
import { fillTemplate, type HookInput, type Pointer, type Template } from './template.ts';

/** The attributes that have templates. The optional ones are left out where a hook has none. */
export interface HookTemplates {
  readonly id: Template;
  readonly source: Template;
  readonly type: Template;
  readonly topic: Template;
  readonly subject?: Template | undefined;
  /** RFC 3339, or seconds or milliseconds since 1970. The time of arrival where a hook has none. */
  readonly time?: Template | undefined;
}

/** One configured sender of raw webhooks. */
export interface Hook {
  readonly name: string;
  readonly checkSignature: CheckSignature;
  readonly templates: HookTemplates;
  /** Leads to an array of which each item becomes an event. Absent: the body is one event. */
  readonly each?: Pointer | undefined;
}

/** How the values of an attribute are made fit for it. Texts are checked with the whole event. */
const ENCODINGS: Readonly<Record<string, (value: string) => string | undefined>> = {
  // One placeholder is one token: the dots and wildcards of a body must not choose the topic.
  topic: encodeTopicToken,
  source: encodeURI,
};

/** Seconds up to the year 5138; a longer number is milliseconds. */
const SECONDS = /^\d{1,11}(?:\.\d{1,9})?$/;
const MILLISECONDS = /^\d{12,14}$/;

/**
 * Makes the CloudEvent of a webhook, which is still to be checked.
 *
 * @param path where the input is in the body, for the errors: `''` or `[3]`
 * @param nowMs milliseconds since 1970
 * @throws TidemarkError `invalid_event` that names a placeholder without a value
 */
export function toEvent(
  { templates }: Pick<Hook, 'templates'>,
  input: HookInput,
  { path, nowMs }: { readonly path: string; readonly nowMs: number },
): Record<string, unknown> {
  const filled = Object.entries(templates).flatMap(([attribute, template]) => {
    if (template === undefined) return [];
    const encode = ENCODINGS[attribute] ?? String;
    return [[attribute, fillTemplate(template, input, { attribute, path, encode })] as const];
  });
  const { time, ...attributes } = Object.fromEntries(filled);
  return {
    specversion: '1.0',
    ...attributes,
    time: time === undefined ? new Date(nowMs).toISOString() : toTime(time),
    data: input.value,
  };
}

function toTime(text: string): string {
  if (SECONDS.test(text)) return new Date(Number(text) * 1000).toISOString();
  return MILLISECONDS.test(text) ? new Date(Number(text)).toISOString() : text;
}
