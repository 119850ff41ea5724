import type { TopicNode } from './topic-tree.ts';

/** One reading of all topics. */
export interface Reading {
  readonly root: TopicNode;
  /** When it was read, in ms of a clock that never goes back. */
  readonly atMs: number;
}

/** Between two readings that are closer than this a rate would be noise. */
const APART_MS = 500;

/**
 * Events per second at a place of the tree, from the difference of two readings.
 *
 * @returns `undefined` before there are two readings, and where fewer events are there than before: retention or an
 *   erasure took some, so that the difference tells nothing of what came
 */
export function ratePerSecond(
  path: string,
  before: Reading | undefined,
  now: Reading,
): number | undefined {
  if (!before || now.atMs - before.atMs < APART_MS) return undefined;
  const difference = eventsAt(now.root, path) - eventsAt(before.root, path);
  return difference < 0 ? undefined : (difference * 1000) / (now.atMs - before.atMs);
}

function eventsAt(root: TopicNode, path: string): number {
  let node: TopicNode | undefined = root;
  for (const token of path === '' ? [] : path.split('.')) node = node?.children.get(token);
  return node?.events ?? 0;
}
