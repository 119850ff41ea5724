import { useEffect, useRef, useState } from 'react';
import { isAfter } from '../cursors.ts';
import type { InboxItem } from '../inbox/types.ts';
import { useStatus } from './status.ts';

/** What comes within this time is said in one sentence. */
const ARRIVALS_MS = 1000;

/** So many new items came; `number` tells two sentences with the same text apart. */
export interface Arrivals {
  readonly number: number;
  readonly count: number;
}

/**
 * What to say of new items: not of those of the first page, and of those of a catch-up once, when it is over.
 * @param items the newest first; `undefined` before the first page is there
 */
export function useArrivals(items: readonly InboxItem[] | undefined): Arrivals {
  const isCatchingUp = useStatus().state === 'catching-up';
  const [arrivals, setArrivals] = useState<Arrivals>({ number: 0, count: 0 });
  const [isWaiting, setIsWaiting] = useState(false);
  const waiting = useRef(0);
  const known = useRef<{ readonly newest: string | undefined }>(undefined);

  useEffect(() => {
    if (!items) return;
    const before = known.current;
    known.current = { newest: items[0]?.cursor ?? before?.newest };
    if (!before) return;
    waiting.current += countNew(items, before.newest);
    setIsWaiting(waiting.current > 0);
  }, [items]);

  useEffect(() => {
    if (!isWaiting || isCatchingUp) return;
    const timer = setTimeout(() => {
      const count = waiting.current;
      waiting.current = 0;
      setIsWaiting(false);
      setArrivals(({ number }) => ({ number: number + 1, count }));
    }, ARRIVALS_MS);
    return () => clearTimeout(timer);
  }, [isWaiting, isCatchingUp]);

  return arrivals;
}

/** An older item that comes back, such as from the archive, is not new; nor is what was seen on another device. */
function countNew(items: readonly InboxItem[], newest: string | undefined): number {
  return items.filter(({ cursor, state }) => isAfter(cursor, newest) && !state.seen).length;
}
