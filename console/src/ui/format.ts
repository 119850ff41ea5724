/* Figures as a person reads them: few digits, a unit, and a space that does not break between the two. */

const SPACE = '\u00a0';
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const full = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' });

/** `12,345`. */
export function count(value: number): string {
  return whole.format(value);
}

/** `12.3 k`, for figures that change all the time: at most four digits. */
export function short(value: number): string {
  if (value >= 1e9) return `${digits(value / 1e9)}${SPACE}G`;
  if (value >= 1e6) return `${digits(value / 1e6)}${SPACE}M`;
  if (value >= 1e4) return `${digits(value / 1e3)}${SPACE}k`;
  return value >= 100 || Number.isInteger(value) ? whole.format(value) : digits(value);
}

/** `1.5 MiB`. */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let scaled = value;
  let unit = 0;
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024;
    unit++;
  }
  return `${unit === 0 ? whole.format(scaled) : digits(scaled)}${SPACE}${units[unit]}`;
}

/** Milliseconds as `0.42 ms`, `12 ms`, `3.1 s`, `5 min`, `2 h 10 min`, `3 d 4 h`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${ms < 100 ? digits(ms) : whole.format(ms)}${SPACE}ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds < 10 ? digits(seconds) : whole.format(seconds)}${SPACE}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}${SPACE}min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return pair(hours, 'h', minutes % 60, 'min');
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

/** `3 min ago`; `now` for less than a second. */
export function ago(time: string | number, now = Date.now()): string {
  const ms = now - new Date(time).getTime();
  return ms < 1000 ? 'now' : `${duration(Math.max(1000, Math.floor(ms / 1000) * 1000))} ago`;
}

/** `14:03:22`. */
export function timeOfDay(time: string | number): string {
  return clock.format(new Date(time));
}

/** `27 Nov 2026, 14:03:22 CET`. */
export function fullTime(time: string | number): string {
  return full.format(new Date(time));
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  const first = `${large}${SPACE}${largeUnit}`;
  return small === 0 ? first : `${first} ${small}${SPACE}${smallUnit}`;
}

/** Three digits that matter. */
function digits(value: number): string {
  if (value >= 100) return whole.format(value);
  if (value >= 10) return value.toFixed(1).replace(/\.0$/, '');
  return value.toFixed(2).replace(/\.?0+$/, '') || '0';
}
