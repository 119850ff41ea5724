import { useInsertionEffect, useRef } from 'react';

/** A page that is hidden has no frames: what waits for one waits no longer than this. */
const FRAME_MS_MAX = 200;

/** Runs with the next frame, so that what changes in between is shown once. @returns a function that prevents it */
export function nextFrame(run: () => void): () => void {
  const cancel = () => {
    clearTimeout(timer);
    if (frame !== undefined) cancelAnimationFrame(frame);
  };
  const runOnce = () => {
    cancel();
    run();
  };
  const hasFrames = typeof requestAnimationFrame === 'function';
  const timer = setTimeout(runOnce, hasFrames ? FRAME_MS_MAX : 0);
  const frame = hasFrames ? requestAnimationFrame(runOnce) : undefined;
  return cancel;
}

/**
 * Runs when the present task is over. Strict Mode ends each effect and begins it again in one task, and so does a
 * component that moves to another place: what would be opened again at once is not closed.
 */
export function afterTask(run: () => void): () => void {
  const timer = setTimeout(run, 0);
  return () => clearTimeout(timer);
}

/** The value of the last render that was shown, for functions that outlive a render. */
export function useLatest<Value>(value: Value): { readonly current: Value } {
  const latest = useRef(value);
  useInsertionEffect(() => {
    latest.current = value;
  });
  return latest;
}
