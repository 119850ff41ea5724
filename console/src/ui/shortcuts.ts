import { signal } from '@preact/signals';

/** A key, or two keys one after the other, such as `g n`. */
export interface Shortcut {
  readonly keys: string;
  readonly label: string;
  readonly run: () => void;
}

/** The second key comes within this time. */
const SECOND_KEY_MS = 1200;

/** All that have an effect now, as the help shows them. */
export const shortcuts = signal<readonly Shortcut[]>([]);

/** Adds shortcuts; the answer takes them away again. */
export function addShortcuts(added: readonly Shortcut[]): () => void {
  shortcuts.value = [...shortcuts.value, ...added];
  return () => {
    shortcuts.value = shortcuts.value.filter((one) => !added.includes(one));
  };
}

/** Listens to the keyboard from now on. Keys that are typed into a field are the field's. */
export function listenToKeys(): void {
  let first = '';
  let firstAt = 0;
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const isSecond = first !== '' && event.timeStamp - firstAt < SECOND_KEY_MS;
    const keys = isSecond ? `${first} ${event.key}` : event.key;
    const found = shortcuts.value.find((one) => one.keys === keys);
    first = !found && shortcuts.value.some((one) => one.keys.startsWith(`${keys} `)) ? keys : '';
    firstAt = event.timeStamp;
    if (!found) return;
    event.preventDefault();
    found.run();
  });
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  const isField = ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName);
  return isField || target.isContentEditable || document.querySelector('dialog[open]') !== null;
}
