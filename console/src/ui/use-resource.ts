import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

/** What a request gave so far. `data` stays while it is asked for again, and while that fails. */
export interface Resource<Data> {
  readonly data: Data | undefined;
  readonly error: unknown;
  readonly loading: boolean;
  /** Milliseconds since 1970; `undefined` before the first answer. */
  readonly loadedAt: number | undefined;
  /** Asks again. */
  readonly reload: () => void;
}

interface State<Data> {
  readonly data: Data | undefined;
  readonly error: unknown;
  readonly loading: boolean;
  readonly loadedAt: number | undefined;
}

const NOTHING = { data: undefined, error: undefined, loading: true, loadedAt: undefined };

interface ResourceOptions {
  /** Asks again after each such time, while the page is visible and no answer is waited for. */
  readonly everyMs?: number | undefined;
  /** Shows what an earlier key gave until there is an answer. */
  readonly keep?: boolean;
}

/** Asks when `key` changes. An answer to what is no longer asked is not used. */
export function useResource<Data>(
  key: string,
  load: (signal: AbortSignal) => Promise<Data>,
  { everyMs, keep = false }: ResourceOptions = {},
): Resource<Data> {
  const [state, setState] = useState<State<Data>>(NOTHING);
  const running = useRef<AbortController>(undefined);
  const latest = useRef(load);
  latest.current = load;
  const reload = useCallback(() => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setState((before) => ({ ...before, loading: true }));
    latest.current(controller.signal).then(
      (data) => {
        if (controller.signal.aborted) return;
        running.current = undefined;
        setState({ data, error: undefined, loading: false, loadedAt: Date.now() });
      },
      (error: unknown) => {
        if (controller.signal.aborted) return;
        running.current = undefined;
        setState((before) => ({ ...before, error, loading: false }));
      },
    );
  }, []);
  useEffect(() => {
    if (!keep) setState(NOTHING);
    reload();
    return () => running.current?.abort();
  }, [key, keep, reload]);
  useEffect(() => {
    if (everyMs === undefined) return undefined;
    const timer = setInterval(() => {
      // A new question ends the one before: where answers take longer than this, none would ever come.
      if (!document.hidden && !running.current) reload();
    }, everyMs);
    return () => clearInterval(timer);
  }, [everyMs, reload]);
  return { ...state, reload };
}
