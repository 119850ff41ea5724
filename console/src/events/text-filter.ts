import type { CloudEvent } from '../api/types.ts';

const texts = new WeakMap<CloudEvent, string>();

/** Whether all words are in an event, in its attributes or its data, whatever their case. */
export function hasWords(event: CloudEvent, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  let text = texts.get(event);
  if (text === undefined) {
    text = JSON.stringify(event).toLowerCase();
    texts.set(event, text);
  }
  return words.every((word) => text.includes(word));
}

export function wordsOf(text: string): string[] {
  return text.toLowerCase().split(/\s+/).filter(Boolean);
}
