import type { Status, Tidemark } from '@tidemark/client';
import { StrictMode, version } from 'react';
import { createRoot, hydrateRoot, type Root } from 'react-dom/client';
import { App } from './apps.tsx';
import type { Kept, Program, Settings, What } from './kept.ts';
import { StubInbox } from './stub-inbox.ts';

const kept: Kept = {
  heard: [],
  shown: [],
  commits: 0,
  frames: 0,
  isLive: false,
  gaps: 0,
  error: undefined,
  states: [],
  calls: [],
  opened: 0,
  closed: 0,
  complaints: [],
};

const report = console.error;
console.error = (...words: unknown[]) => {
  kept.complaints.push(words.map(String).join(' '));
  report(...words);
};
const countFrame = () => {
  kept.frames++;
  requestAnimationFrame(countFrame);
};
countFrame();

let root: Root | undefined;
let stub: StubInbox | undefined;

function openInbox(): StubInbox {
  stub = new StubInbox(kept);
  return stub;
}

let client: Tidemark | undefined;
const onClient = (present: Tidemark) => {
  client = present;
};

let status: Status = { state: 'live' };
const statusListeners = new Set<(status: Status) => void>();
const stubClient = {
  get status() {
    return status;
  },
  on: (_type: 'status', handle: (status: Status) => void) => {
    statusListeners.add(handle);
    return () => statusListeners.delete(handle);
  },
} as Partial<Tidemark> as Tidemark;

function app(what: What, settings: Settings) {
  return (
    <StrictMode>
      <App {...{ what, settings, kept, openInbox, onClient }} stub={stubClient} />
    </StrictMode>
  );
}

function element(): HTMLElement {
  const found = document.getElementById('root') ?? document.createElement('main');
  found.id = 'root';
  if (!found.isConnected) document.body.append(found);
  return found;
}

const program: Program = {
  version,
  kept,
  show(what, settings) {
    root ??= createRoot(element());
    root.render(app(what, settings));
  },
  hydrate(settings) {
    const onRecoverableError = (error: unknown) => void kept.complaints.push(String(error));
    root = hydrateRoot(element(), app('bells', settings), { onRecoverableError });
  },
  unmount() {
    root?.unmount();
    root = undefined;
  },
  isClosed() {
    const status = client?.status;
    return status?.state === 'stopped' && status.code === 'closed';
  },
  authenticate: async () => client?.authenticate(),
  setState(state) {
    status = state === 'live' ? { state } : { state, events: 0 };
    for (const listener of statusListeners) listener(status);
  },
  arrive: (count) => stub?.arrive(count),
  take: (cursor) => stub?.take(cursor),
  refuse: () => stub?.refuse(),
};
Object.assign(globalThis, { program });
