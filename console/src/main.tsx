import { render } from 'preact';
import { loadConfiguration } from './api/configuration.ts';
import { storedToken } from './api/session.ts';
import { signIn } from './api/sign-in.ts';
import { App } from './app/app.tsx';
import { followAddress } from './ui/route.ts';
import { listenToKeys } from './ui/shortcuts.ts';
import { Failed, Loading } from './ui/states.tsx';
import { applyTheme } from './ui/theme.ts';
import './app/styles.css';

/** `#console` of index.html. */
const root = document.getElementById('console') as HTMLElement;

async function start(): Promise<void> {
  // Before anything is waited for: the address may change meanwhile.
  const token = storedToken();
  render(<Loading label="Starting" />, root);
  try {
    await loadConfiguration();
  } catch (error) {
    render(<Failed error={error} retry={() => location.reload()} />, root);
    return;
  }
  followAddress();
  if (token) await signIn(token);
  listenToKeys();
  render(<App />, root);
}

applyTheme();
await start();
