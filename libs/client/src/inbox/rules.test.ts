import { expect, test } from 'vitest';
import { itemFilter, topicsOf } from './rules.ts';

const header = (topic: string) => ({ sequence: 5, topic, type: 'x', expiresMs: Infinity });

test('rules: a follow without permission: brings no items, and is not subscribed to', () => {
  const follows = [
    { pattern: 'news.>', since: 'log-1', permitted: false },
    { pattern: 'news.a', since: 'log-1', permitted: true },
  ];
  const rules = { topics: ['user.me.>'], follows, mutes: [] };
  const accepts = itemFilter(rules);
  expect(['news.a', 'news.b', 'user.me.a'].map((topic) => accepts(header(topic)))).toEqual([
    true,
    false,
    true,
  ]);
  expect(topicsOf('inbox.me', rules).filter((topic) => !topic.startsWith('tidemark.'))).toEqual([
    'inbox.me',
    'user.me.>',
    'news.a',
  ]);
});

test('rules: reserved topics: are never items, also of who follows everything', () => {
  const accepts = itemFilter({
    topics: [],
    follows: [{ pattern: '>', since: 'log-1' }],
    mutes: [],
  });
  const topics = ['inbox.me', 'tidemark.erased.a', 'inbox.me.a', 'inbox', 'tidemark'];
  expect(topics.filter((topic) => accepts(header(topic)))).toEqual([
    'inbox.me.a',
    'inbox',
    'tidemark',
  ]);
});
