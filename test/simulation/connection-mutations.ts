import type { Mutation } from './mutation.ts';

/** Of the subscriptions of one connection, and how they come to the head. */
export const CONNECTION_MUTATIONS: readonly Mutation[] = [
  {
    mistake: 'goes live without the last step',
    file: 'connections/catch-up-reader.ts',
    text: `    if (this.#readFrom < tail.head) return true;
    if (!this.#writeConflated()) return false;
    if (this.caughtUp)`,
    replacement: `    if (!this.#writeConflated()) return false;
    if (tail)`,
  },
  {
    mistake: 'goes live before its own start is reached',
    file: 'connections/catch-up-reader.ts',
    text: 'this.subscriptions.every(({ after }) => after <= head)',
    replacement: 'true',
  },
  {
    mistake: 'writes to a full socket',
    file: 'connections/catch-up-reader.ts',
    text: `        if (!sink.writable) {
          advance`,
    replacement: `        if (sink.unsentBytes < 0) {
          advance`,
  },
  {
    mistake: 'keeps its page while the socket is full',
    file: 'connections/catch-up-reader.ts',
    text: `    if (!sink.writable) {
      this.#waitForSocket();`,
    replacement: `    if (!sink.writable) {
      this.#owner.waitsForSocket();`,
  },
  {
    mistake: 'stands one event too far after a full socket',
    file: 'connections/catch-up-reader.ts',
    text: 'advance(after);',
    replacement: 'advance(through);',
  },
  {
    mistake: 'passes a whole page after its first part',
    file: 'connections/catch-up-reader.ts',
    text: '(entries.at(-1)?.sequence ?? 0)',
    replacement: 'page.through',
  },
  {
    mistake: 'tells no gap',
    file: 'connections/catch-up-reader.ts',
    text: 'this.#owner.sendExpiredGap(this, page.through);',
    replacement: '',
  },
  {
    mistake: 'waits for a head that nobody tells it of',
    file: 'connections/catch-up-reader.ts',
    text: `    if (this.#sequence > tail.head) {
      this.#log.awaitHead(this);`,
    replacement: '    if (this.#sequence > tail.head) {',
  },
  {
    mistake: 'conflates, and goes live without writing the kept events',
    file: 'connections/catch-up-reader.ts',
    text: 'if (!this.#writeConflated()) return false;',
    replacement: '',
  },
  {
    mistake: 'passes over events for a neighbour that wants all',
    file: 'connections/catch-up-reader.ts',
    text: "return deliver === 'latest' && types",
    replacement: "return deliver !== 'all' || types",
  },
  {
    mistake: 'passes over an event for a newer one of a type that its neighbour does not want',
    file: 'connections/catch-up-reader.ts',
    text: ' && types?.key === first?.patterns.types?.key',
    replacement: '',
  },
  {
    mistake: 'delivers what the stream has of other types',
    file: 'connections/catch-up-reader.ts',
    text: 'return entry.sequence > first.after && first.wantsType(entry);',
    replacement: 'return entry.sequence > first.after;',
  },
  {
    mistake: 'delivers to subscriptions that overlap what none of them wants',
    file: 'connections/subscription.ts',
    text: 'return this.covers(entry) && this.wantsType(entry);',
    replacement: 'return this.covers(entry);',
  },
  {
    mistake: 'counts what was skipped up to the first that is not told yet',
    file: 'connections/catch-up-reader.ts',
    text: 'const isFinal = event.sequence <= this.#sequence;',
    replacement: 'if (event.sequence > this.#sequence) break;\n        const isFinal = true;',
  },
  {
    mistake: 'keeps the older event of a topic',
    file: 'connections/conflation.ts',
    text: 'this.#entries.delete(entry.topic);',
    replacement: '',
  },
  {
    mistake: 'live events overtake last events of an overlapping subscription',
    file: 'connections/connection.ts',
    text: 'after > head || last !== undefined',
    replacement: 'after > head',
    test: 'connections/connection.test.ts',
  },
  {
    mistake: 'last events that a full socket did not take count as written',
    file: 'connections/catch-up-reader.ts',
    text: '(through) => last?.advance(through)',
    replacement: '() => last?.advance(page.through)',
  },
  {
    mistake: 'overlapping readers stay apart',
    file: 'connections/connection.ts',
    text: 'if (!reader.overlaps(patterns)) continue;',
    replacement: 'if (reader) continue;',
  },
  {
    mistake: 'a reader leaves overlapping live subscriptions alone',
    file: 'connections/connection.ts',
    text: 'if (live.length === 0) continue;',
    replacement: 'if (live) continue;',
  },
  {
    mistake: 'absorbs a neighbour without noting what it had',
    file: 'connections/connection.ts',
    text: 'for (const one of live) one.after = liveSequence;',
    replacement: '',
  },
  {
    mistake: 'regroups at the head although the old group was behind',
    file: 'connections/connection.ts',
    text: 'const isBehind = sequence < this.#log.tail.head;',
    replacement: 'const isBehind = sequence < 0;',
    test: 'connections/connection.test.ts',
  },
  {
    mistake: 'heartbeat tells the head',
    file: 'connections/progress.ts',
    text: 'sequence: Math.min(...passed)',
    // The head where nothing is live.
    replacement: 'sequence: Math.max(...passed, liveSequence)',
  },
  {
    mistake: 'tells live at every arrival',
    file: 'connections/connection.ts',
    text: 'subscription.sentLive = true;',
    replacement: '',
  },
  {
    mistake: 'a lost end takes with it what its events stood for',
    file: 'connections/connection.ts',
    text: 'subscription.incompleteSince ?? change.sequence',
    replacement: 'change.sequence',
    test: 'connections/connection.test.ts',
  },
  {
    mistake: 'a change of the log is not told',
    file: 'connections/connection.ts',
    text: 'this.#sendGap(subscription.id, { from, to: this.#positionAt(sequence), reason });',
    replacement: '',
  },
  {
    mistake: 'a start resolved in another log is used',
    file: 'connections/start-search.ts',
    text: 'if (beginnings !== log.beginnings) return false;',
    replacement: 'if (beginnings < 0) return false;',
  },
  {
    mistake: 'a live subscription goes on after its unsubscribe',
    file: 'connections/connection.ts',
    text: 'this.#regroup(without(this.#live, subscription));',
    replacement: 'this.#live = without(this.#live, subscription);',
  },
  {
    mistake: 'a reader that loses a subscription begins at the head',
    file: 'connections/connection.ts',
    text: 'this.#startReader(without(reader.subscriptions, subscription), reader.sequence);',
    replacement:
      'this.#startReader(without(reader.subscriptions, subscription), this.#log.tail.head);',
  },
  {
    mistake: 'ignores where a subscription begins',
    file: 'connections/subscription.ts',
    text: 'event.sequence > this.after && ',
    replacement: '',
  },
  {
    mistake: 'heartbeats only when nothing else is sent',
    file: 'connections/registry.ts',
    text: 'if (quietMs < dueMs && sinceHeartbeatMs < dueMs) return;',
    replacement: 'if (quietMs < dueMs) return;',
  },
];
