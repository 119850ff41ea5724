import { describe, expect, test } from 'vitest';
import { ratePerSecond } from './rates.ts';
import { buildTree, pathsAbove, patternOf, type TopicCount, visibleRows } from './topic-tree.ts';
import { treeKey } from './tree-keys.ts';

const topics = (counts: Record<string, number>): TopicCount[] =>
  Object.entries(counts).map(([topic, count]) => ({ topic, count, first: 'e-1', last: 'e-9' }));

const SHOP = topics({
  'chat.room': 1,
  orders: 2,
  'orders.1': 3,
  'orders.1.items': 4,
  'orders.2': 5,
});

describe('tree of topics', () => {
  test('a place counts the topics and events at it and below', () => {
    const root = buildTree(SHOP);
    expect(root).toMatchObject({ topics: 5, events: 15 });
    expect(root.children.get('orders')).toMatchObject({ topics: 4, events: 14, path: 'orders' });
    const one = root.children.get('orders')?.children.get('1');
    expect(one).toMatchObject({ topics: 2, events: 7, own: { topic: 'orders.1', count: 3 } });
  });

  test('what is closed is not among the rows', () => {
    const root = buildTree(SHOP);
    const paths = (...open: string[]) =>
      visibleRows(root, new Set(open)).map(({ node }) => node.path);
    expect(paths()).toEqual(['chat', 'orders']);
    expect(paths('orders')).toEqual(['chat', 'orders', 'orders.1', 'orders.2']);
    expect(paths('orders.1')).toEqual(['chat', 'orders']);
    expect(visibleRows(root, new Set(['orders']))[2]).toMatchObject({
      level: 2,
      place: 1,
      siblings: 2,
    });
  });

  test('a place stands for its topic, or for all below it where it is no topic', () => {
    const root = buildTree(SHOP);
    expect(patternOf(root)).toBe('>');
    expect(visibleRows(root, new Set(['orders'])).map(({ node }) => patternOf(node))).toEqual([
      ...['chat.>', 'orders', 'orders.1', 'orders.2'],
    ]);
  });

  test('what is above a topic', () => {
    expect(pathsAbove('a.b.c')).toEqual(['a', 'a.b']);
    expect(pathsAbove('>')).toEqual([]);
  });

  test('twenty thousand topics are built and opened in a moment', () => {
    const many = Array.from({ length: 20_000 }, (_, n) => ({ [`a.${n % 100}.${n}`]: 1 }));
    const root = buildTree(topics(Object.assign({}, ...many)));
    const open = new Set(['a', ...Array.from({ length: 100 }, (_, n) => `a.${n}`)]);
    const beganMs = performance.now();
    expect(visibleRows(root, open)).toHaveLength(20_101);
    expect(performance.now() - beganMs).toBeLessThan(1000);
  });
});

describe('rates', () => {
  const reading = (counts: Record<string, number>, atMs: number) => ({
    root: buildTree(topics(counts)),
    atMs,
  });
  const before = reading({ 'a.1': 10, 'a.2': 10 }, 0);

  test('the difference of two readings, also of what is new', () => {
    const now = reading({ 'a.1': 15, 'a.2': 10, 'a.3': 5 }, 2000);
    expect(['a', 'a.1', 'a.2', 'a.3'].map((path) => ratePerSecond(path, before, now))).toEqual([
      5, 2.5, 0, 2.5,
    ]);
  });

  test('none before the second reading, and where events went', () => {
    const now = reading({ 'a.1': 8 }, 2000);
    expect(ratePerSecond('a', undefined, now)).toBeUndefined();
    expect(ratePerSecond('a.1', before, now)).toBeUndefined();
    expect(ratePerSecond('a', before, { ...now, atMs: 1 })).toBeUndefined();
  });
});

describe('keys of the tree', () => {
  const root = buildTree(SHOP);
  const rows = visibleRows(root, new Set(['orders']));

  test.each([
    ['ArrowDown', -1, { focus: 'chat' }],
    ['ArrowDown', 3, { focus: 'orders.2' }],
    ['ArrowUp', 0, { focus: 'chat' }],
    ['End', 0, { focus: 'orders.2' }],
    ['ArrowRight', 0, { focus: 'chat', toggle: 'chat' }],
    ['ArrowRight', 1, { focus: 'orders.1' }],
    ['ArrowRight', 3, {}],
    ['ArrowLeft', 1, { focus: 'orders', toggle: 'orders' }],
    ['ArrowLeft', 3, { focus: 'orders' }],
    ['x', 1, undefined],
  ])('%s at row %i: %j', (key, at, expected) => {
    expect(treeKey(key, rows, at)).toEqual(expected);
  });

  test('Enter chooses', () => {
    expect(treeKey('Enter', rows, 1)?.select?.path).toBe('orders');
  });
});
