import { useEffect, useState } from 'preact/hooks';
import { session } from '../api/session.ts';
import { signIn } from '../api/sign-in.ts';
import { Notice } from '../ui/states.tsx';
import { Brand, ThemeButton } from './chrome.tsx';

/** Asks for a token, and says why the last one is of no use. */
export function TokenEntry() {
  const current = session.value;
  const [text, setText] = useState(current.state === 'unreachable' ? current.token : '');
  const checking = current.state === 'checking';
  useEffect(() => focusContent, []);
  return (
    <div class="entry">
      <header class="entry-head">
        <Brand />
        <ThemeButton />
      </header>
      <main class="entry-box">
        <h1>Console</h1>
        <p>
          What you see depends on your token. With <code>admin</code> you see the whole system, and
          otherwise the topics, events and the inbox that its scopes allow.
        </p>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            signIn(text);
          }}
        >
          <label for="token">Token</label>
          <textarea
            id="token"
            class="mono"
            rows={5}
            required
            spellcheck={false}
            autocomplete="off"
            placeholder="eyJhbGciOi…"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
          {'notice' in current && current.notice && <Notice kind="bad">{current.notice}</Notice>}
          <button type="submit" class="primary" disabled={checking}>
            {checking ? 'Checking …' : 'Open the console'}
          </button>
        </form>
        <p class="quiet">
          <code>npm run --silent token -- --sub you --scope admin</code> prints one for a system of{' '}
          <code>npm start</code>. It stays in this tab, and is forgotten when you close it.
        </p>
      </main>
    </div>
  );
}

/** Once the form is gone, the focus would be nowhere. */
function focusContent(): void {
  requestAnimationFrame(() => document.getElementById('main')?.focus());
}
