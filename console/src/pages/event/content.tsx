import { useState } from 'preact/hooks';
import type { CloudEvent } from '../../api/types.ts';
import { Json } from '../../events/json.tsx';
import { copyText } from '../../ui/copy-text.ts';
import { bytes } from '../../ui/format.ts';
import { Icon } from '../../ui/icon.tsx';
import { Panel } from '../../ui/panel.tsx';

const SHOWN_MS = 1500;

/** The data of an event, or all of it, as JSON. */
export function Content({ event }: { event: CloudEvent }) {
  const [isWhole, setWhole] = useState(false);
  const text = JSON.stringify(event);
  const binary = event.data_base64;
  const actions = (
    <>
      <span class="quiet">{bytes(new TextEncoder().encode(text).length)}</span>
      <button type="button" aria-pressed={isWhole} onClick={() => setWhole(!isWhole)}>
        {isWhole ? 'Data only' : 'Whole event'}
      </button>
      <CopyButton text={text} />
    </>
  );
  return (
    <Panel title={isWhole ? 'Event' : 'Data'} actions={actions}>
      {binary !== undefined && !isWhole ? (
        <p>
          The data is not text: {String(binary).length} characters of Base64. The whole event has
          them.
        </p>
      ) : (
        <Json value={isWhole ? event : event.data} />
      )}
    </Panel>
  );
}

/** Copies the event as it is published: JSON on one line. */
function CopyButton({ text }: { text: string }) {
  const [told, setTold] = useState('Copy the event');
  const copy = async () => {
    setTold((await copyText(text)) ? 'Copied' : 'The browser refuses');
    setTimeout(() => setTold('Copy the event'), SHOWN_MS);
  };
  return (
    <button type="button" onClick={copy}>
      <Icon name="copy" />
      {told}
    </button>
  );
}
