import type { CloudEvent } from '../api/types.ts';

const CHARACTERS_MAX = 200;

/** The data of an event on one line, as far as a line goes. */
export function preview({ data, data_base64: binary }: CloudEvent): string {
  if (typeof binary === 'string') return `${Math.floor((binary.length * 3) / 4)} bytes, not text`;
  if (data === undefined) return 'no data';
  return JSON.stringify(data).slice(0, CHARACTERS_MAX);
}
