/**
 * Microseconds on the machine's monotonic clock, which all processes share: a time taken in the
 * publisher can be subtracted from one taken in a load client.
 */
const baseUs = Number(process.hrtime.bigint()) / 1000 - performance.now() * 1000;

export function nowUs(): number {
  return baseUs + performance.now() * 1000;
}
