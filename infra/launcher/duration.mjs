import { Failure } from './failure.mjs';

/** @type {Record<string, number>} */
const SECONDS = { s: 1, m: 60, h: 3600, d: 24 * 3600 };

/** @param {string} text such as `90s`, `15m`, `1h`, `30d` @returns {number} seconds */
export function parseDuration(text) {
  const match = /^([1-9]\d{0,8})([smhd])$/.exec(text);
  const unit = SECONDS[match?.[2] ?? ''];
  if (unit !== undefined) return Number(match?.[1]) * unit;
  throw new Failure(`${JSON.stringify(text)} is not a duration such as 90s, 15m, 1h or 30d.`);
}
