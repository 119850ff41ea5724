import { closest } from '@tidemark/config';
import { usageError } from './errors.ts';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 24 * 3600 };

/** Seconds of a duration such as `90s`, `15m`, `1h`, `30d`. @throws CliError */
export function parseDuration(text: string): number {
  const match = /^([1-9]\d{0,8})([smhd])$/.exec(text);
  const unit = SECONDS[match?.[2] ?? ''];
  if (unit === undefined) {
    throw usageError(`${quoted(text)} is not a duration such as 90s, 15m, 1h or 30d.`);
  }
  return Number(match?.[1]) * unit;
}

/** A reader of whole numbers from `min` to `max`, for an option of this name. */
export function integer(name: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw usageError(`${name} is a number from ${min} to ${max}, not ${quoted(text)}.`);
  };
}

/** A reader of one of some words; a wrong one is answered with the closest. */
export function oneOf<T extends string>(name: string, words: readonly T[]): (text: string) => T {
  return (text) => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    throw usageError(
      `${name} is ${words.join(', ')}, not ${quoted(text)}.${didYouMean(text, words)}`,
    );
  };
}

/** ` Did you mean x?`, or nothing where no word is close. */
export function didYouMean(text: string, words: Iterable<string>): string {
  const all = [...words];
  // Two letters in the wrong order are two edits, which is far for a short word.
  const best = closest(text, all) ?? all.find((word) => letters(word) === letters(text));
  return best === undefined ? '' : ` Did you mean ${best}?`;
}

function letters(text: string): string {
  return [...text].sort().join('');
}

/** What is between commas, without white space around it. */
export function commaList(text: string): string[] {
  return text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
}

/** A base URL without a slash at its end. @throws CliError */
export function parseUrl(name: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && (url.protocol === 'http:' || url.protocol === 'https:') && url.search === '') {
    return text.replace(/\/+$/, '');
  }
  throw usageError(`${name} is a URL such as http://127.0.0.1:8080, not ${quoted(text)}.`);
}

/** A text in quotes, shortened, without what a terminal would obey. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
