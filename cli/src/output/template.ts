import { usageError } from '../base/errors.ts';

/** Makes a line from an event. */
export type Template = (values: Readonly<Record<string, unknown>>) => string;

/**
 * Parses a template such as `{topic} {data.total}`. A placeholder is a path of names; what is not there is
 * empty, objects are JSON of `stringify`, and a text is put in as `clean` leaves it. `{{` and `}}` stand for braces.
 *
 * @throws CliError where a brace is not closed or has no name
 */
export function parseTemplate(
  text: string,
  clean: (value: string) => string,
  stringify: (value: unknown) => string = JSON.stringify,
): Template {
  const parts: (string | readonly string[])[] = [];
  for (const [piece] of text.matchAll(/\{\{|\}\}|\{[^{}]*\}|[^{}]+|[{}]/g)) {
    if (piece === '{{' || piece === '}}') parts.push(piece.charAt(0));
    else if (piece === '{' || piece === '}' || piece === '{}') {
      throw usageError(`The template has ${piece} without a name; {{ and }} stand for braces.`);
    } else if (piece.startsWith('{')) parts.push(piece.slice(1, -1).split('.'));
    else parts.push(piece);
  }
  return (values) =>
    parts
      .map((part) =>
        typeof part === 'string' ? part : clean(print(valueAt(values, part), stringify)),
      )
      .join('');
}

function valueAt(values: unknown, path: readonly string[]): unknown {
  let found = values;
  for (const name of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name))
      return undefined;
    found = (found as Record<string, unknown>)[name];
  }
  return found;
}

function print(value: unknown, stringify: (value: unknown) => string): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : stringify(value);
}
