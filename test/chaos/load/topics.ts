import type { Random } from '../../simulation/random.ts';

/** Topics that anybody publishes to, of different depth. */
export const TOPICS: readonly string[] = [
  ...['1', '2', '3', '4', '5', '6'].map((name) => `orders.${name}`),
  ...['1', '2', '3'].map((name) => `orders.${name}.items`),
  ...['de', 'fr', 'it', 'pl'].map((name) => `prices.${name}.bonds`),
  ...['de', 'fr', 'it', 'pl'].map((name) => `prices.${name}.shares`),
  ...['alice', 'bob', 'carol'].map((name) => `user.${name}.inbox`),
  'news',
];

/** Topics with one publisher, whose every event names its predecessor. */
export const CHAINS: readonly string[] = ['chain.1', 'chain.2', 'chain.3'];

/** Topics for which several publishers compete. */
export const CONTESTS: readonly string[] = ['contest.1', 'contest.2'];

const PATTERNS: readonly (readonly string[])[] = [
  ['>'],
  ['orders.>'],
  ['orders.*'],
  ['orders.*', 'orders.1.>'],
  ['orders.1', 'orders.2'],
  ['prices.>'],
  ['prices.*.shares'],
  ['prices.de.*', 'prices.fr.*'],
  ['user.*.inbox'],
  ['user.alice.inbox', 'news'],
  ['*.1', '*.2'],
  ['chain.>'],
  ['contest.*', 'chain.1'],
  ['news'],
  ['nothing.ever'],
];

/** Patterns for one subscription. */
export function pickPatterns(random: Random): readonly string[] {
  return random.pick(PATTERNS);
}
