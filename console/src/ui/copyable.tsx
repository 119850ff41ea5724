import { useState } from 'preact/hooks';
import { Icon } from './icon.tsx';

const SHOWN_MS = 1500;

/** An id or a cursor in full, with a button that copies it. */
export function Copyable({ text, name }: { text: string; name: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), SHOWN_MS);
  };
  return (
    <span class="copyable">
      <code>{text}</code>
      <button type="button" class="bare" onClick={copy} aria-label={`Copy ${name}`} title="Copy">
        {copied ? <span class="quiet">copied</span> : <Icon name="copy" />}
      </button>
    </span>
  );
}
