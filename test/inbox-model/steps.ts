import fc from 'fast-check';

const TOPICS = ['user.me.a', 'user.me.b.c', 'user.you.a', 'news.x', 'news.y.z', 'other'];
const PATTERNS = ['news.>', 'news.*', 'news.x', '>', 'user.me.a', 'other'];
const TYPES = ['one', 'two'];

const which = fc.nat(1);
const pattern = fc.record({
  pattern: fc.constantFrom(...PATTERNS),
  types: fc.option(fc.constantFrom(['one'], ['t*', 'one']), { nil: undefined }),
});
/** What may happen next, whatever happened before. */
export const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      item: fc.constantFrom(...TOPICS),
      type: fc.constantFrom(...TYPES),
      id: fc.nat(5),
      expiresIn: fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      at: which,
      follow: fc.constantFrom('follow', 'unfollow', 'mute', 'unmute'),
      of: pattern,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      at: which,
      upTo: fc.constantFrom('seen', 'read', 'archived'),
      back: fc.nat(15),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      at: which,
      mark: fc.constantFrom('seen', 'read', 'unread', 'archived', 'unarchived', 'snoozed'),
      back: fc.array(fc.nat(20), { minLength: 1, maxLength: 3 }),
      forMs: fc.integer({ min: -50, max: 400 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ at: which, project: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 3, arbitrary: fc.record({ receive: fc.nat(12), again: fc.nat(4) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      at: which,
      erase: fc.constantFrom('cursor', 'topic', 'names'),
      back: fc.nat(15),
    }),
  },
  { weight: 3, arbitrary: fc.record({ at: which, erasing: fc.integer({ min: 1, max: 4 }) }) },
  fc.record({ at: which, rebuild: fc.constant(true) }),
  fc.record({ drop: fc.nat(20) }),
  fc.record({ passMs: fc.integer({ min: 1, max: 200 }) }),
);
/** One of them. */
export type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;
