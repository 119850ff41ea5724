const INTERVAL_MS = 2000;

/**
 * Tells how far a long step has come, every two seconds, and how long it took.
 *
 * @param {string} what such as `archive`
 */
export function startProgress(what) {
  const startMs = performance.now();
  let shownMs = startMs;
  return {
    /** @param {string} howFar */
    show(howFar) {
      if (performance.now() - shownMs < INTERVAL_MS) return;
      shownMs = performance.now();
      console.log(`  ${what}: ${howFar} …`);
    },
    /** @param {string} result */
    end(result) {
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      console.log(`  ${what}: ${result}, ${seconds} s`);
    },
  };
}

/** @param {number} bytes */
export function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
