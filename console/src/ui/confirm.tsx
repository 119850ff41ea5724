import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Dialog } from './dialog.tsx';
import { Failed } from './states.tsx';

interface ConfirmProps {
  readonly title: string;
  /** On the button: what it does, as a verb. */
  readonly action: string;
  /** Does it; an error is shown, and the dialog stays. */
  readonly run: () => Promise<void>;
  readonly close: () => void;
  /** What it does, and what it does not. */
  readonly children: ComponentChildren;
}

/** Asks before something that affects others. The focus begins at the button that does nothing. */
export function Confirm({ title, action, run, close, children }: ConfirmProps) {
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await run();
      close();
    } catch (thrown) {
      setError(thrown);
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} close={close}>
      {children}
      {error !== undefined && <Failed error={error} />}
      <div class="dialog-end">
        <button type="button" onClick={close} autofocus>
          Cancel
        </button>
        <button type="button" class="danger" disabled={busy} onClick={submit}>
          {busy ? 'One moment …' : action}
        </button>
      </div>
    </Dialog>
  );
}
