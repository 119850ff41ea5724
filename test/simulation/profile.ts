import type { Transport } from './device.ts';
import type { Random } from './random.ts';

/** The actions that a world can choose from. */
export const ACTIONS = [
  'turn',
  'request',
  'loseRequest',
  'timer',
  'flush',
  'arrive',
  'deliver',
  'openFeed',
  'loseFeed',
  'publish',
  'flood',
  'expire',
  'openArchive',
  'feedArchive',
  'writeArchive',
  'connect',
  'disconnect',
  'subscribe',
  'unsubscribe',
  'narrow',
  'stall',
  'stale',
  'append',
  'undecide',
  'killNats',
  'reviveNats',
  'loseEnd',
  'newEpoch',
  'toggleArchive',
  'rebuildArchive',
  'restartGateway',
  'elapse',
] as const;

/** Of each of them. */
const ERASING_WEIGHT = 40;

/** The actions of worlds in which events are erased. */
export const ERASING = ['erase', 'eraseArchive', 'eraseStream'] as const;

export type Action = (typeof ACTIONS)[number] | (typeof ERASING)[number];

const WEIGHTS: Readonly<Record<(typeof ACTIONS)[number], number>> = {
  turn: 300,
  request: 300,
  loseRequest: 4,
  timer: 100,
  flush: 250,
  arrive: 250,
  deliver: 200,
  openFeed: 60,
  loseFeed: 3,
  publish: 120,
  flood: 2,
  expire: 20,
  openArchive: 60,
  feedArchive: 60,
  writeArchive: 60,
  connect: 40,
  disconnect: 10,
  subscribe: 25,
  unsubscribe: 10,
  narrow: 2,
  stall: 8,
  stale: 10,
  append: 80,
  undecide: 8,
  killNats: 1,
  reviveNats: 30,
  loseEnd: 2,
  newEpoch: 1,
  toggleArchive: 4,
  rebuildArchive: 1,
  restartGateway: 1,
  elapse: 20,
};

/** The weight of floods in worlds that test floods. */
const FLOOD_WEIGHT = 10;

/** What happens again and again in some worlds. Most have no such theme. */
const THEMES: readonly Partial<Record<Action, number>>[] = [
  {},
  {},
  {},
  {},
  {},
  // The log loses its end, and archives and gateways follow late.
  { publish: 200, loseEnd: 12, toggleArchive: 12, openArchive: 20, openFeed: 20 },
  { publish: 200, loseEnd: 12, openFeed: 8, feedArchive: 20 },
  { publish: 200, loseEnd: 12, toggleArchive: 12, feedArchive: 12, openArchive: 30 },
  // The archives hold different parts of the log.
  { expire: 40, loseEnd: 6, toggleArchive: 25, rebuildArchive: 8 },
  // Servers that were held up answer processes that have just started.
  { stale: 40, loseFeed: 12, toggleArchive: 25 },
];

/** The actions that no world leaves out, because nothing would happen without them. */
const NEEDED: ReadonlySet<Action> = new Set([
  'turn',
  'request',
  'timer',
  'flush',
  'arrive',
  'deliver',
  'openFeed',
  'publish',
  'writeArchive',
  'connect',
  'reviveNats',
]);

/** The kind of world that a seed makes: its faults, and its sizes. */
export interface Profile {
  readonly weights: ReadonlyMap<Action, number>;
  readonly readers: number;
  readonly gateways: number;
  /** Replay services, each with an archive of its own. */
  readonly archives: number;
  readonly transports: readonly Transport[];
  /** Whether all readers have the same patterns on one gateway: one group with many members. */
  readonly alike: boolean;
  /** Whether the stream has several copies, of which one may lag. */
  readonly cluster: boolean;
  /** Whether floods are so large that a reader needs several steps through one. */
  readonly deep: boolean;
  readonly topics: readonly string[];
  /** The types of the events; one that stands there more often is more frequent. */
  readonly types: readonly string[];
  /** How many of the subscriptions filter by types. */
  readonly filtered: number;
  readonly tail: { readonly bytesMax: number; readonly eventsMax: number };
  readonly coldReadsMax: number;
  readonly kernelBytesMax: number;
  /** Milliseconds that a write to a socket takes. */
  readonly writeMs: number;
  /** Milliseconds that an event of the feed takes. */
  readonly feedMs: number;
  readonly stepMs: number;
  /** The probability of an event that is larger than the bytes that a socket may hold. */
  readonly large: number;
  readonly paddingMax: number;
  /** The probability of a message that is no event. */
  readonly invalid: number;
  /** The probability of a reader that wants only the newest event of each topic. */
  readonly latest: number;
  readonly holes: boolean;
  readonly heartbeatMs: number;
  readonly stallTimeoutMs: number;
}

/** `a.b.*` and `a.c.*` match too many topics for the index. A scan finds little of the latter. */
const MANY_TOPICS = [
  ...Array.from({ length: 1000 }, (_, index) => `a.b.t${index}`),
  ...Array.from({ length: 70 }, (_, index) => `a.c.t${index}`),
];

/** Tails that hold all events or hardly any: long reads of the tail, or of stream and archive. */
const DEEP_TAILS = [
  { bytesMax: 10_000_000, eventsMax: 10_000 },
  { bytesMax: 100_000, eventsMax: 50 },
];

/** Many events of one type, so that filters leave out most of a read. */
const TYPES = [
  ['t'],
  ['t', 't', 't', 't', 't', 't', 't', 't', 't', 'u'],
  ['t', 't.a', 't.b', 'u', 'u.a'],
];
const FILTERS = ['t', 't.a', 't.b', 'u', 't*', 't.*', 'u*', 'v', 'v*', '*'];

const TRANSPORTS: readonly Transport[] = ['websocket', 'sse'];

const TOKENS = ['a', 'b', 'c'];

export function createProfile(random: Random): Profile {
  const weights = createWeights(random);
  const alike = random.chance(0.1);
  const deep = !alike && random.chance(0.08);
  if (deep) weights.set('flood', FLOOD_WEIGHT);
  const cluster = random.chance(0.4);
  // Where no archive answers, every copy of the stream is read.
  const copies = cluster && !deep && random.chance(0.5);
  if (copies) weights.delete('openArchive');
  return {
    weights,
    readers: alike ? 45 : random.between(2, deep ? 5 : 14),
    gateways: alike ? 1 : 2,
    archives: random.pick([1, 1, 2, 2, 3]),
    transports: alike ? [random.pick(TRANSPORTS)] : TRANSPORTS,
    alike,
    cluster,
    deep,
    types: random.pick(TYPES),
    filtered: random.pick([0, 0.3, 0.8]),
    topics: deep ? random.pick([['a'], MANY_TOPICS]) : createTopics(random),
    tail: deep
      ? random.pick(DEEP_TAILS)
      : {
          bytesMax: random.pick([40_000, 200_000, 1_000_000, 10_000_000]),
          eventsMax: random.pick(copies ? [5, 20] : [5, 20, 80, 400, 10_000]),
        },
    coldReadsMax: random.pick([1, 2, 8]),
    kernelBytesMax: random.pick([2000, 20_000, 200_000]),
    writeMs: random.pick(alike ? [0.5, 1] : [0.01, 0.01, 0.3, 1]),
    feedMs: random.pick([0.001, 0.001, 0.5]),
    stepMs: random.pick([0.1, 1, 5]),
    large: alike ? 0 : random.pick([0, 0.01, 0.05]),
    paddingMax: alike ? 200 : random.pick([50, 1000, 10_000]),
    invalid: random.pick([0.02, 0.02, 0.02, 0.4]),
    latest: random.pick([0.2, 0.2, 0.2, 0.7]),
    holes: random.chance(0.2),
    heartbeatMs: random.pick([1000, 5000]),
    stallTimeoutMs: random.pick([2000, 20_000]),
  };
}

export function createPatterns(random: Random, { deep }: Profile): string[] {
  if (deep) return [random.pick(['>', 'a', 'a.b.*', 'a.c.*'])];
  const count = random.pick([1, 1, 1, 2, 3]);
  return [...new Set(Array.from({ length: count }, () => createPattern(random)))];
}

/** What a subscription filters by; mostly nothing. */
export function createTypes(random: Random, { filtered }: Profile): string[] | undefined {
  if (!random.chance(filtered)) return undefined;
  return Array.from({ length: random.pick([1, 1, 2, 3]) }, () => random.pick(FILTERS));
}

function createPattern(random: Random): string {
  const depth = random.between(1, 3);
  const tokens = Array.from({ length: depth }, () => {
    return random.chance(0.25) ? '*' : random.pick(TOKENS);
  });
  if (random.chance(0.25)) tokens[depth - 1] = '>';
  return tokens.join('.');
}

/** Mostly few topics, so that subscriptions overlap; sometimes too many for the index. */
function createTopics(random: Random): readonly string[] {
  if (random.chance(0.05)) return MANY_TOPICS;
  const topics = Array.from({ length: random.between(1, 12) }, () => {
    return Array.from({ length: random.between(1, 3) }, () => random.pick(TOKENS)).join('.');
  });
  return [...new Set(topics)];
}

function createWeights(random: Random): Map<Action, number> {
  const weights = new Map<Action, number>();
  for (const action of ACTIONS) {
    const factor = random.pick([0.2, 1, 1, 3]);
    if (NEEDED.has(action) || random.chance(0.6)) weights.set(action, WEIGHTS[action] * factor);
  }
  for (const [action, weight] of Object.entries(random.pick(THEMES))) {
    weights.set(action as Action, weight);
  }
  // Decided without a draw, so that all other worlds stay as they are. A stream that loses its end may lose records too,
  // which no model of this world follows.
  const erases = !weights.has('loseEnd') && weights.size % 2 === 0;
  if (!erases) return weights;
  for (const action of ERASING) weights.set(action, ERASING_WEIGHT);
  return weights;
}
