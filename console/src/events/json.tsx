import type { ComponentChildren } from 'preact';

/** Characters of JSON that are coloured; more is shown plain, because each part is an element. */
const COLOURED_MAX = 100_000;
const PARTS = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*)|(true|false|null)/g;

/** JSON with an indent, and its parts in colours. */
export function Json({ value }: { value: unknown }) {
  const text = JSON.stringify(value, null, 2) ?? 'no data';
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached with the keyboard
    <pre class="json" tabIndex={0}>
      {text.length > COLOURED_MAX ? text : colour(text)}
    </pre>
  );
}

function colour(text: string): ComponentChildren[] {
  const parts: ComponentChildren[] = [];
  let end = 0;
  for (const match of text.matchAll(PARTS)) {
    parts.push(text.slice(end, match.index));
    const [whole, string, colon, number] = match;
    end = match.index + whole.length;
    const kind = colon ? 'json-name' : string ? 'json-text' : number ? 'json-number' : 'json-word';
    const shown = string ?? whole;
    parts.push(
      <span key={match.index} class={kind}>
        {shown}
      </span>,
      colon ?? '',
    );
  }
  parts.push(text.slice(end));
  return parts;
}
