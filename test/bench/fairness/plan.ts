/** What ordinary users do, and how long each takes. */
export const OPERATIONS = ['publish', 'delivery', 'subscribe', 'catchUp'] as const;
export type Operation = (typeof OPERATIONS)[number];

/** The attacks, each by users whose tokens allow next to nothing. */
export const ATTACKS = [
  'subscribePatterns',
  'livePatterns',
  'historyPatterns',
  'messages',
  'coldReads',
  'idlePatterns',
  'timeStarts',
  'handshakes',
  'bodies',
  'exports',
  'abortedReads',
  'withoutGrant',
  'wrongTokens',
] as const;
export type Attack = (typeof ATTACKS)[number];

export interface Services {
  readonly gateway: string;
  readonly ingest: string;
  readonly replay: string;
}

/** Topics with events that are older than the tail, and how many each has. */
export const PAST_TOPICS = 50;
export const PAST_EVENTS = 300;

/** Topics below `m` with one event each. */
export const IDLE_TOPICS = 40_000;

export function pastTopic(index: number): string {
  return `fair.past.0.${index % PAST_TOPICS}`;
}
