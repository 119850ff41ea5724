/** Ends what it stands for, such as a timer or a listener. */
export type Cancel = () => void;

/** What the library takes from where it runs. Tests give their own. */
export interface Environment {
  /** Milliseconds that never go back, for durations. */
  now(): number;
  /** Milliseconds since 1970, which a person may set. */
  wall(): number;
  /** 0 to below 1. */
  random(): number;
  timer(run: () => void, ms: number): Cancel;
  /** `undefined` where there is no WebSocket. */
  socket: ((url: string, protocols: string[]) => WebSocket) | undefined;
  fetch: typeof fetch;
  /**
   * Calls when it is worth to look at the connection at once: the network is back, or the page is visible or
   * returns from the back/forward cache.
   */
  onWake(run: () => void): Cancel;
  /** Calls when the page stops, perhaps for ever: it is left, or frozen. */
  onLeave(run: () => void): Cancel;
}

/** Browsers, Node and React Native; nothing of the DOM is taken for granted. */
export function systemEnvironment(): Environment {
  return {
    now: () => performance.now(),
    wall: () => Date.now(),
    random: () => Math.random(),
    timer: (run, ms) => {
      const id = setTimeout(run, ms);
      return () => clearTimeout(id);
    },
    socket:
      typeof WebSocket === 'undefined'
        ? undefined
        : (url, protocols) => new WebSocket(url, protocols),
    fetch: (...request) => fetch(...request),
    onWake: (run) =>
      all(
        hear('window', 'online', run),
        hear('window', 'pageshow', (event) => {
          if ((event as { persisted?: boolean }).persisted) run();
        }),
        hear('document', 'visibilitychange', () => {
          const page = globalThis as { document?: { visibilityState: string } };
          if (page.document?.visibilityState === 'visible') run();
        }),
      ),
    onLeave: (run) => all(hear('window', 'pagehide', run), hear('document', 'freeze', run)),
  };
}

function all(...cancels: Cancel[]): Cancel {
  return () => {
    for (const cancel of cancels) cancel();
  };
}

function hear(target: 'window' | 'document', type: string, run: (event: Event) => void): Cancel {
  const source = (globalThis as unknown as Partial<Record<string, EventTarget>>)[target];
  if (!source?.addEventListener) return () => undefined;
  source.addEventListener(type, run);
  return () => source.removeEventListener(type, run);
}
