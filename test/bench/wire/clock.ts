/**
 * Microseconds on the machine's monotonic clock. All processes share this clock, so a time in the
 * publisher can be subtracted from a time in a load client.
 */
const baseUs = Number(process.hrtime.bigint()) / 1000 - performance.now() * 1000;

export function nowUs(): number {
  return baseUs + performance.now() * 1000;
}
