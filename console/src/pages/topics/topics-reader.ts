import { call } from '../../api/request.ts';
import type { TopicCount } from './topic-tree.ts';

/** Topics that one page of the console reads and keeps. Beyond them a pattern has to narrow the tree. */
export const TOPICS_MAX = 20_000;
const PAGE = 1000;

interface TopicsPage {
  readonly items: readonly TopicCount[];
  readonly next: string | null;
  readonly complete: boolean;
}

/** All topics of a pattern that the token may see, in the order of their names. */
export interface Topics {
  readonly items: readonly TopicCount[];
  /** There are more than `TOPICS_MAX`. */
  readonly isCut: boolean;
  /** How long the reading took, in ms. */
  readonly tookMs: number;
  /** When it ended, in ms of a clock that never goes back. */
  readonly atMs: number;
}

/** Reads page after page (PROTOCOL.md section 11.2). @param tell hears how many topics there are so far */
export async function readTopics(
  topics: string,
  signal: AbortSignal,
  tell: (topics: number) => void,
): Promise<Topics> {
  const beganMs = performance.now();
  const items: TopicCount[] = [];
  let after: string | null = null;
  do {
    const query: Record<string, string | number> = { topics, limit: PAGE, ...(after && { after }) };
    const page: TopicsPage = await call('GET', '/v1/topics', { service: 'replay', query, signal });
    items.push(...page.items);
    after = page.next;
    tell(items.length);
  } while (after !== null && items.length < TOPICS_MAX);
  const atMs = performance.now();
  return { items, isCut: after !== null, tookMs: atMs - beganMs, atMs };
}
