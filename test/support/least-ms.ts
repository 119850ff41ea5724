/**
 * The shortest time that some work took, in ms. What else the machine does, and what the compiler does at first, can only
 * make a time longer: so the shortest is that of the work.
 */
export function leastMs(times: number, work: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let count = 0; count < times; count++) {
    const startMs = performance.now();
    work();
    least = Math.min(least, performance.now() - startMs);
  }
  return least;
}
