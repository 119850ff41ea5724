import { usageError } from '../base/errors.ts';
import { oneOf } from '../base/parse.ts';
import type { Output } from '../output/output.ts';
import { safeText } from '../output/safe-text.ts';
import { parseTemplate } from '../output/template.ts';

/** An event with its cursor. */
export interface Stored {
  readonly cursor: string;
  readonly event: Readonly<Record<string, unknown>>;
}

/** Makes a line from an event. */
export type EventFormat = (stored: Stored) => string;

const WORDS = ['pretty', 'json'] as const;

/** What help says about `--format`. */
export const FORMAT_HELP = 'pretty, json, or a template such as "{topic} {data.total}"';

/** Writes JSON; another one than `JSON.stringify` keeps the digits of numbers. */
type Stringify = (value: unknown) => string;

/**
 * The format that an option names: pretty on a terminal and JSON in a pipe where it names none.
 *
 * @throws CliError for a word that is no format
 */
export function eventFormat(
  output: Output,
  named: string | undefined,
  stringify: Stringify = JSON.stringify,
): EventFormat {
  if (named?.includes('{')) {
    const clean = output.isTerminal ? safeText : (text: string) => text;
    const template = parseTemplate(named, clean, stringify);
    return ({ cursor, event }) => template({ cursor, ...event });
  }
  const word = named === undefined ? undefined : oneOf('--format', WORDS)(named);
  if (output.json && word === 'pretty') throw usageError('--json and --format pretty contradict.');
  const isPretty = word ? word === 'pretty' : output.isTerminal && !output.json;
  return isPretty ? (stored) => pretty(output, stored, stringify) : stringify;
}

function pretty(output: Output, { cursor, event }: Stored, stringify: Stringify): string {
  const { topic, type, time, data, data_base64: bytes } = event;
  const when = typeof time === 'string' ? localTime(time) : '';
  const base64 = bytes === undefined ? '' : `(base64) ${bytes}`;
  const what = data === undefined ? base64 : typeof data === 'string' ? data : stringify(data);
  const kind = type === topic ? '' : ` ${output.style('cyan', safeText(String(type)))}`;
  const head = `${output.style('dim', when)} ${output.style('bold', safeText(String(topic)))}${kind}`;
  return `${head} ${safeText(what)} ${output.style('dim', cursor)}`;
}

/** `14:03:59.120`, with the day where that is another. */
function localTime(time: string): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return safeText(time);
  const two = (value: number) => String(value).padStart(2, '0');
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
  if (date.toDateString() === new Date().toDateString()) return clock;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock}`;
}
