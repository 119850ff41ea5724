import type { Mutation } from './mutation.ts';

/** Mistakes about events that an operator has erased. */
export const ERASURE_MUTATIONS: readonly Mutation[] = [
  {
    mistake: 'keeps in its memory what was erased',
    file: 'log/event-log.ts',
    text: 'this.tail.eraseEvent(sequence);',
    replacement: 'this.tail.eraseEvent(-sequence);',
  },
  {
    mistake: 'erases another event',
    file: 'log/event-log.ts',
    text: 'this.tail.eraseEvent(sequence);',
    replacement: 'this.tail.eraseEvent(sequence - 1);',
  },
  {
    mistake: 'keeps what was erased in the index of its topic',
    file: 'log/tail.ts',
    text: 'this.topics.get(entry.topic)?.entries.replace(blank);',
    replacement: '',
  },
  {
    mistake: 'fills its tail with what was erased',
    file: 'sources/tail-fill.ts',
    text: '.filter((entry) => !erased.cover(entry))',
    replacement: '',
    test: 'sources/tail-fill.test.ts',
  },
  {
    mistake: 'does not tell a fill what was erased meanwhile',
    file: 'log/event-log.ts',
    text: 'this.#fillErasures?.add(erasure, record);',
    replacement: '',
    test: 'sources/tail-fill.test.ts',
  },
  {
    mistake: 'takes an event that its archive has erased for one that it lacks',
    part: 'services/replay',
    file: 'projector/epoch-judge.ts',
    text: ' || archive.isErased({ sequence, topic })',
    replacement: '',
    test: 'projector/epoch-judge.test.ts',
  },
  {
    mistake: 'takes an event that the stream has erased for another one',
    part: 'services/replay',
    file: 'projector/epoch-judge.ts',
    text: 'if (record) return isOf(record, compared);',
    replacement: 'return record !== undefined && isOf(record, compared);',
    test: 'projector/epoch-judge.test.ts',
  },
];
