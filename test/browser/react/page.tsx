import { StrictMode, version } from 'react';
import { createRoot, hydrateRoot, type Root } from 'react-dom/client';
import { App, type AppProps } from './apps.tsx';
import type { Kept, Program, Settings } from './kept.ts';
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

function app(what: AppProps['what'], settings: Settings) {
  return (
    <StrictMode>
      <App what={what} settings={settings} kept={kept} openInbox={openInbox} />
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
    root = hydrateRoot(element(), app('bell', settings), { onRecoverableError });
  },
  unmount() {
    root?.unmount();
    root = undefined;
  },
  arrive: (count) => stub?.arrive(count),
  take: (cursor) => stub?.take(cursor),
  refuse: () => stub?.refuse(),
};
Object.assign(globalThis, { program });
