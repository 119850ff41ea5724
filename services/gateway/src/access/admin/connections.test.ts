import type { ConnectionInfo, ConnectionPage } from '@tidemark/protocol';
import { expect, test } from 'vitest';
import { mergePages } from './connections.ts';

function page(gateway: string, ids: string, end: string | null): ConnectionPage {
  const items = [...ids].map((connection) => ({ connection }) as ConnectionInfo);
  return { gateway, connections: 100, items, end };
}

const names = ({ items }: ReturnType<typeof mergePages>) =>
  items.map(({ connection }) => connection).join('');

test('all that there is: in order, and no further page', () => {
  const merged = mergePages([page('1', 'ac', null), page('2', 'b', null)], 3);
  expect(names(merged)).toBe('abc');
  expect(merged.next).toBeNull();
});

test('more than a page: the first ones, and the rest begins after the last of them', () => {
  const merged = mergePages([page('1', 'ad', null), page('2', 'bc', null)], 3);
  expect(names(merged)).toBe('abc');
  expect(merged.next).toBe('c');
});

test('a gateway whose page ended early: nothing of the others after that end', () => {
  const merged = mergePages([page('1', 'ab', 'b'), page('2', 'cd', null)], 10);
  expect(names(merged)).toBe('ab');
  expect(merged.next).toBe('b');
});

test('all of a page were closed meanwhile: it is empty, and the next one is not', () => {
  const merged = mergePages([page('1', '', 'e'), page('2', 'fg', null)], 10);
  expect(names(merged)).toBe('');
  expect(merged.next).toBe('e');
});

test('no gateway answers: nothing', () => {
  expect(mergePages([], 10)).toEqual({ items: [], next: null });
});
