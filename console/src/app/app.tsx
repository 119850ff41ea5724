import { session } from '../api/session.ts';
import { Layout } from './layout.tsx';
import { TokenEntry } from './token-entry.tsx';

/** The console: the way in, or the pages. */
export function App() {
  return session.value.state === 'open' ? <Layout /> : <TokenEntry />;
}
