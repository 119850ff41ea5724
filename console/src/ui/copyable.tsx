import { useState } from 'preact/hooks';
import { copyText } from './copy-text.ts';
import { Icon } from './icon.tsx';

const SHOWN_MS = 1500;

/** An id or a cursor in full, with a button that copies it. */
export function Copyable({ text, name }: { text: string; name: string }) {
  const [told, setTold] = useState('');
  const copy = async () => {
    setTold((await copyText(text)) ? 'copied' : 'the browser refuses');
    setTimeout(() => setTold(''), SHOWN_MS);
  };
  return (
    <span class="copyable">
      <code>{text}</code>
      <button type="button" class="bare" onClick={copy} aria-label={`Copy ${name}`} title="Copy">
        {told ? <span class="quiet">{told}</span> : <Icon name="copy" />}
      </button>
    </span>
  );
}
