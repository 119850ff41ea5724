import { readFileSync } from 'node:fs';

const POLL_MS = 500;

/**
 * Calls back when the npm that runs this script has ended, because a killed npm passes no signal on.
 * A shell may stand between npm and this script and outlive npm. So this watches its parent too.
 *
 * @param {() => void} onGone
 */
export function watchNpm(onGone) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const atStart = ancestors();
  const timer = setInterval(() => {
    if (ancestors() === atStart) return;
    clearInterval(timer);
    onGone();
  }, POLL_MS);
  timer.unref();
}

function ancestors() {
  return `${process.ppid} ${parentOf(process.ppid)}`;
}

/** @param {number} pid @returns {string | undefined} `undefined` where there is no /proc */
function parentOf(pid) {
  try {
    // The name, in parentheses, may hold anything; the state and the parent follow it.
    return / \(.*\) \S (\d+) /s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}
