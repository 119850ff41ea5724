/*
 * `JSON.parse` rounds integers beyond 2^53 and long fractions. Here such a number becomes an object that holds
 * its text, which is written back as it came. The reviver of `JSON.parse` shows texts as well, but takes up to a
 * hundred times as long: 300 ms for 1 MiB of numbers.
 */

/** The name in such an object. Nobody can send it, because it is another one in each process and never sent. */
const TEXT_OF_NUMBER = `number ${crypto.randomUUID()}`;

/** Shorter numbers are those of JavaScript, digit by digit. */
const EXACT_DIGITS = 15;

const LONG = /\d[\d.]{15}/;
const LONG_TOKENS = /(?<![\w.+-])-?\d[\d.eE+-]{15,}/g;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const KEPT = new RegExp(`\\{"${TEXT_OF_NUMBER}":"(-?\\d[\\d.eE+-]*)"\\}`, 'g');

const QUOTE = '"';
const BACKSLASH = 0x5c;

/**
 * Parses JSON. A number that JavaScript would write with other digits becomes an object, which only
 * `stringifyExact` and `isKeptNumber` understand. One that is out of range becomes infinity.
 *
 * @throws SyntaxError
 */
export function parseExact(text: string): unknown {
  if (!LONG.test(text)) return JSON.parse(text);
  try {
    return JSON.parse(keepNumbers(text));
  } catch {
    // The error must quote what was sent.
    return JSON.parse(text);
  }
}

/** Writes a value that may hold what `parseExact` returned as JSON, with every number as it came. */
export function stringifyExact(value: unknown): string {
  const text = JSON.stringify(value);
  return text.includes(TEXT_OF_NUMBER) ? text.replace(KEPT, '$1') : text;
}

/** Whether a value stands for a number. */
export function isKeptNumber(value: object): boolean {
  return TEXT_OF_NUMBER in value;
}

/**
 * The position of the quote that ends a string of JSON, or the end of the text.
 *
 * @param start where the string's first quote is
 */
export function endOfString(text: string, start: number): number {
  for (let at = text.indexOf(QUOTE, start + 1); at >= 0; at = text.indexOf(QUOTE, at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return at;
  }
  return text.length;
}

/** The text with an object for each number to keep. It is JSON exactly if the text is. */
function keepNumbers(text: string): string {
  let kept = '';
  let copied = 0;
  for (let at = 0; at < text.length; ) {
    const quote = text.indexOf(QUOTE, at);
    const end = quote < 0 ? text.length : quote;
    if (end - at > EXACT_DIGITS) {
      kept += text.slice(copied, at) + text.slice(at, end).replace(LONG_TOKENS, keepNumber);
      copied = end;
    }
    at = endOfString(text, end) + 1;
  }
  return kept + text.slice(copied);
}

function keepNumber(text: string): string {
  const number = Number(text);
  const isSame = String(number) === text || !Number.isFinite(number);
  return isSame || !NUMBER.test(text) ? text : `{"${TEXT_OF_NUMBER}":"${text}"}`;
}
