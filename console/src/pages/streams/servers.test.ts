import { expect, test } from 'vitest';
import type { Stream, StreamReplica } from '../../api/types.ts';
import { serversOf } from './servers.ts';

function replica(name: string, more: Partial<StreamReplica> = {}): StreamReplica {
  return { name, leader: false, current: true, offline: false, lag: 0, ...more };
}

function stream(...replicas: readonly StreamReplica[]): Stream {
  return { replicas } as unknown as Stream;
}

test('servers: of two streams: count what each leads, and show the worst of its replicas', () => {
  const streams = [
    stream(replica('b', { leader: true }), replica('a', { current: false, lag: 7 })),
    stream(replica('a', { leader: true }), replica('b', { offline: true, current: false })),
  ];
  expect(serversOf(streams)).toEqual([
    { name: 'a', leads: 1, replicas: 2, offline: false, lag: 7 },
    { name: 'b', leads: 1, replicas: 2, offline: true, lag: 0 },
  ]);
});

test('servers: without a stream: there is none', () => {
  expect(serversOf([])).toEqual([]);
});
