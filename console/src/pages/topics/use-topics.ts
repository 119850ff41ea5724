import { useEffect, useRef, useState } from 'preact/hooks';
import type { Reading } from './rates.ts';
import { buildTree } from './topic-tree.ts';
import { readTopics, type Topics } from './topics-reader.ts';

/** Between two readings, at least: rates are the difference of two. */
const EVERY_MS = 5000;
/** A reading that takes long is repeated seldom, so that it takes a tenth of the time at most. */
const SHARE = 10;

/** The tree as it was read last, and the reading before it. */
export interface TopicsState {
  readonly now: Reading | undefined;
  readonly before: Reading | undefined;
  readonly isCut: boolean;
  readonly error: unknown;
  /** Topics that the first reading has so far. */
  readonly found: number;
  readonly reload: () => void;
}

type State = Omit<TopicsState, 'reload'>;

const NOTHING: State = {
  now: undefined,
  before: undefined,
  isCut: false,
  error: undefined,
  found: 0,
};

/** Reads the topics of a pattern again and again, while the page is visible. */
export function useTopics(pattern: string): TopicsState {
  const [state, setState] = useState<State>(NOTHING);
  const [round, setRound] = useState(0);
  const shown = useRef('');
  useEffect(() => {
    const ending = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    if (shown.current !== pattern) setState(NOTHING);
    shown.current = pattern;
    const later = (ms: number) => {
      timer = setTimeout(() => (document.hidden ? later(EVERY_MS) : read()), ms);
    };
    const read = () => {
      const tell = (found: number) => {
        if (!ending.signal.aborted) setState((before) => ({ ...before, found }));
      };
      readTopics(pattern, ending.signal, tell).then(
        (topics) => {
          if (ending.signal.aborted) return;
          setState((before) => next(before, topics));
          later(Math.max(EVERY_MS, topics.tookMs * SHARE));
        },
        (error: unknown) => {
          if (ending.signal.aborted) return;
          setState((before) => ({ ...before, error }));
          later(EVERY_MS);
        },
      );
    };
    read();
    return () => {
      ending.abort();
      clearTimeout(timer);
    };
  }, [pattern, round]);
  return { ...state, reload: () => setRound((before) => before + 1) };
}

function next(before: State, { items, atMs, isCut }: Topics): State {
  const now = { root: buildTree(items), atMs };
  return { now, before: before.now, isCut, error: undefined, found: items.length };
}
