import { useState } from 'preact/hooks';
import { Dialog } from '../../ui/dialog.tsx';
import { Failed, Notice } from '../../ui/states.tsx';
import { type Revocation, revoke, takeBack } from './calls.ts';

type Kind = 'present' | 'all' | 'token';

const KINDS: readonly { readonly kind: Kind; readonly label: string; readonly effect: string }[] = [
  {
    kind: 'present',
    label: 'The tokens that a user has now',
    effect: 'The user is cut off everywhere, and may come back with a token that is issued later.',
  },
  {
    kind: 'all',
    label: 'All tokens of a user, also later ones',
    effect: 'The user is cut off everywhere until you take the revocation back.',
  },
  {
    kind: 'token',
    label: 'One token',
    effect: 'Whoever uses this token is cut off. Other tokens of the same user stay good.',
  },
];

/** Revokes tokens whose user need not be connected, and takes revocations back. */
export function RevocationDialog({ close }: { close: () => void }) {
  const [kind, setKind] = useState<Kind>('present');
  const [text, setText] = useState('');
  const [error, setError] = useState<unknown>();
  const [done, setDone] = useState('');
  const run = async (send: (which: Revocation) => Promise<void>, said: string) => {
    setError(undefined);
    setDone('');
    try {
      await send(revocationOf(kind, text.trim()));
      setDone(said);
    } catch (thrown) {
      setError(thrown);
    }
  };
  const isToken = kind === 'token';
  return (
    <Dialog title="Revoke tokens" close={close}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          run(revoke, 'Revoked, at every service.');
        }}
      >
        <fieldset class="choices">
          <legend>Which</legend>
          {KINDS.map((one) => (
            <label key={one.kind} class="choice">
              <input
                type="radio"
                name="kind"
                checked={one.kind === kind}
                onChange={() => setKind(one.kind)}
              />
              <span>
                {one.label}
                <span class="quiet">{one.effect}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <label class="field">
          {isToken ? 'The token, or its jti' : 'The user (sub)'}
          <input
            required
            class={isToken ? 'mono' : undefined}
            autocomplete="off"
            spellcheck={false}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        {error !== undefined && <Failed error={error} />}
        {done && <Notice kind="good">{done}</Notice>}
        <div class="dialog-end">
          <button
            type="button"
            disabled={text.trim() === ''}
            onClick={() => run(takeBack, 'Taken back, at every service.')}
          >
            Take a revocation back
          </button>
          <button type="submit" class="danger">
            Revoke
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** @throws where the token has no `jti` */
function revocationOf(kind: Kind, text: string): Revocation {
  if (kind === 'token') return { jti: text.split('.').length === 3 ? jtiOf(text) : text };
  return kind === 'all' ? { sub: text } : { sub: text, issuedBefore: new Date().toISOString() };
}

/** The id in a token; the token itself goes nowhere. */
function jtiOf(token: string): string {
  const [, claims = ''] = token.split('.');
  let jti: unknown;
  try {
    jti = JSON.parse(atob(claims.replaceAll('-', '+').replaceAll('_', '/'))).jti;
  } catch {
    throw new Error('This is not a token.');
  }
  if (typeof jti === 'string') return jti;
  throw new Error('This token has no jti. Revoke the tokens that its user has now instead.');
}
