const DEPTH_MAX = 3;
const FIELDS_MAX = 12;

/**
 * The shape of a JSON value as a person reads it, such as `{ order: number, items: [{ sku: text }] }`. Deeper and longer
 * parts are left out as `…`.
 */
export function shapeOf(value: unknown, depth = 0): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return 'text';
  if (typeof value !== 'object') return typeof value;
  if (depth >= DEPTH_MAX) return Array.isArray(value) ? '[…]' : '{…}';
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[${shapeOf(value[0], depth + 1)}]`;
  const fields = Object.entries(value);
  if (fields.length === 0) return '{}';
  const shown = fields
    .slice(0, FIELDS_MAX)
    .map(([name, one]) => `${name}: ${shapeOf(one, depth + 1)}`);
  return `{ ${shown.join(', ')}${fields.length > FIELDS_MAX ? ', …' : ''} }`;
}

/** @returns the value, or what is wrong with the text, for a person */
export function readJson(text: string): { value: unknown } | { fault: string } {
  if (text.trim() === '') return { value: undefined };
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { fault: `This is not JSON: ${(error as Error).message}` };
  }
}
