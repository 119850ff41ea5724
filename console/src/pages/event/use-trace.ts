import { useEffect, useState } from 'preact/hooks';
import { ApiError, call } from '../../api/request.ts';
import type { Trace } from '../../api/types.ts';

/** Services hand their spans on within some seconds; so long it is asked again. */
const YOUNG_MS = 20_000;
const AGAIN_MS = 1500;

/** A trace as far as it is there. */
export interface TraceState {
  readonly trace: Trace | undefined;
  readonly error: unknown;
  /** It may still come, or grow. */
  readonly isWaiting: boolean;
  readonly reload: () => void;
}

/** Reads a trace, again and again while its event is so young that spans may still come. */
export function useTrace(traceId: string, storedMs: number): TraceState {
  const [round, setRound] = useState(0);
  const [state, setState] = useState<Omit<TraceState, 'reload'>>({
    trace: undefined,
    error: undefined,
    isWaiting: true,
  });
  useEffect(() => {
    const ending = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = async () => {
      const isYoung = Date.now() - storedMs < YOUNG_MS;
      const found = await readTrace(traceId, ending.signal).catch((error: unknown) => ({ error }));
      if (ending.signal.aborted) return;
      const isFailed = found !== undefined && 'error' in found;
      setState((before) => ({
        trace: isFailed ? before.trace : (found ?? before.trace),
        error: isFailed ? found.error : undefined,
        isWaiting: isYoung && !isFailed,
      }));
      if (isYoung && !isFailed) timer = setTimeout(read, AGAIN_MS);
    };
    void read();
    return () => {
      ending.abort();
      clearTimeout(timer);
    };
  }, [traceId, storedMs, round]);
  return { ...state, reload: () => setRound((before) => before + 1) };
}

async function readTrace(traceId: string, signal: AbortSignal): Promise<Trace | undefined> {
  try {
    return await call<Trace>('GET', `/v1/admin/traces/${traceId}`, { signal });
  } catch (error) {
    if (error instanceof ApiError && error.code === 'not_found') return undefined;
    throw error;
  }
}
