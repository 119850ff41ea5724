/** A deliberate mistake that a checker must find. */
export interface Mutation {
  /** What the code then does wrong. */
  readonly mistake: string;
  /** The folder whose `src` has the file; `services/gateway` if absent. */
  readonly part?: 'libs/nats' | 'services/replay';
  /** The file, relative to `src`. */
  readonly file: string;
  readonly text: string;
  readonly replacement: string;
  /** The unit test beside the file that finds it, where no world is large enough for that. */
  readonly test?: string;
  /** A world that finds it, where few worlds do. */
  readonly rare?: { readonly seed: number; readonly steps: number };
}

/** Mistakes about copies of the stream, epochs of the log and several archives. */
const CLUSTER_MUTATIONS: readonly Mutation[] = [
  {
    mistake: 'believes the end of a copy',
    file: 'sources/copy-end.ts',
    text: 'const next = last < through ? await nextMatch(last) : undefined;',
    replacement: 'const next = last < 0 ? await nextMatch(last) : undefined;',
  },
  {
    mistake: 'passes what the copy lacked',
    file: 'sources/copy-end.ts',
    text: 'through: next - 1',
    replacement: 'through: next',
  },
  {
    mistake: 'believes a server that knows no leader',
    part: 'libs/nats',
    file: 'known-end.ts',
    text: 'if (!answer.leader)',
    replacement: "if (answer.leader === '')",
    test: 'known-end.test.ts',
  },
  {
    mistake: 'believes an end before the known one',
    part: 'libs/nats',
    file: 'known-end.ts',
    text: 'if (older) this.#judge(older);',
    replacement: '',
  },
  {
    mistake: 'never believes that the log was set back',
    part: 'libs/nats',
    file: 'known-end.ts',
    text: 'if (nowMs - this.#olderSinceMs < OLDER_BELIEVED_MS) throw',
    replacement: 'if (nowMs > 0) throw',
  },
  {
    mistake: 'tells a cursor beyond one answer that it is lost',
    file: 'sources/start-resolver.ts',
    text: '.boundsReaching(from.sequence)',
    replacement: '.bounds()',
  },
  {
    mistake: 'does not try an append again that the stream cannot decide yet',
    part: 'libs/nats',
    file: 'appender.ts',
    text: "if (refusal === 'in_process' && (await budget.pause())) continue;",
    replacement: '',
    test: 'event-appender.test.ts',
  },
  {
    mistake: 'refuses a condition that is right',
    part: 'libs/nats',
    file: 'event-appender.ts',
    text: 'if (last === expectedLastSequence) return undefined;',
    replacement: '',
    test: 'event-appender.test.ts',
  },
  {
    mistake: 'takes the word of one archive for a gap',
    part: 'libs/nats',
    file: 'archive-directory.ts',
    text: 'const lacks = this.#known(epoch).map((archive) => {',
    replacement: 'const lacks = this.#known(epoch).slice(0, 1).map((archive) => {',
  },
  {
    mistake: 'tells a gap up to the last archive that begins later',
    part: 'libs/nats',
    file: 'archive-directory.ts',
    text: 'through: Math.min(...ends)',
    replacement: 'through: Math.max(...ends)',
  },
  {
    mistake: 'forgets archives that have yet to follow the log into its epoch',
    part: 'libs/nats',
    file: 'archive-directory.ts',
    text: 'if (isElsewhere) return undefined;',
    replacement: '',
  },
  {
    mistake: 'begins at the first event of one archive',
    part: 'libs/nats',
    file: 'archive-directory.ts',
    text: 'Math.min(...holdings.map(({ firstSequence }) => firstSequence))',
    replacement: 'first.firstSequence',
  },
  {
    mistake: 'ignores what an earlier epoch lost',
    file: 'sources/start-resolver.ts',
    text: "if (present.lost) return { sequence, gap: { from: position, reason: 'future' } };",
    replacement: '',
  },
  {
    mistake: 'takes the sequence of an earlier epoch as it is',
    file: 'sources/start-resolver.ts',
    text: 'const { sequence } = present;',
    replacement: 'const { sequence } = position;',
  },
  {
    mistake: 'an epoch shares with those before it what the last one shares',
    part: 'libs/nats',
    file: 'lineage.ts',
    text: 'through: Math.min(one.through, through) }',
    replacement: 'through: one.through }',
  },
  {
    mistake: 'a new epoch shares all that the stream has',
    file: 'log/event-log.ts',
    text: 'const sequence = Math.min(shared, end);',
    replacement: 'const sequence = Math.max(shared, end) && end;',
  },
  {
    mistake: 'a new epoch is not told',
    file: 'log/event-log.ts',
    text: 'this.#enterEpoch(lineage, end);',
    replacement: 'this.#lineage = lineage;',
  },
  {
    mistake: 'waits for ever for a new epoch',
    file: 'sources/loss-judge.ts',
    text: 'if (nowMs - this.#sinceMs >= EPOCH_WAIT_MS) return',
    replacement: 'if (nowMs < 0) return',
  },
  {
    mistake: 'compares nothing when the epoch is new',
    file: 'sources/loss-judge.ts',
    text: 'if (stream.epoch !== log.epoch) return this.#passed(end);',
    replacement: 'if (stream.epoch !== log.epoch) return this.#passed(undefined);',
  },
  {
    mistake: 'gives no new epoch to a log that lost its end',
    part: 'services/replay',
    file: 'projector/epoch-judge.ts',
    text: 'if (isWhole && !isOlder) return stream;',
    replacement: 'if (!isOlder) return stream;',
  },
  {
    mistake: 'an epoch that another archive gave is the last word',
    part: 'services/replay',
    file: 'projector/epoch-judge.ts',
    text: 'if (!present && !isOlder) return stream;',
    replacement: 'if (!isSame && !isOlder) return stream;',
  },
  {
    mistake: 'takes events for lost messages that were none',
    part: 'services/replay',
    file: 'projector/epoch-judge.ts',
    text: 'return sequence - 1;',
    replacement: 'continue;',
    rare: { seed: 1359, steps: 1000 },
  },
];

/** Each is one small edit that compiles, looks plausible, and breaks a promise. */
export const MUTATIONS: readonly Mutation[] = [
  ...CLUSTER_MUTATIONS,
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
          this.#sequence`,
    replacement: `        if (sink.unsentBytes < 0) {
          this.#sequence`,
  },
  {
    mistake: 'keeps its page while the socket is full',
    file: 'connections/catch-up-reader.ts',
    text: `    if (!sink.writable) {
      this.#dropPages();`,
    replacement: '    if (!sink.writable) {',
  },
  {
    mistake: 'stands one event too far after a full socket',
    file: 'connections/catch-up-reader.ts',
    text: 'this.#sequence = Math.max(this.#sequence, after);',
    replacement: 'this.#sequence = Math.max(this.#sequence, through);',
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
    text: "subscriptions.every(({ deliver }) => deliver === 'latest')",
    replacement: "subscriptions.some(({ deliver }) => deliver === 'latest')",
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
    text: 'if (sequence < this.#log.tail.head) {',
    replacement: 'if (sequence < 0) {',
  },
  {
    mistake: 'heartbeat tells the head',
    file: 'connections/connection.ts',
    text: 'return this.#positionAt(Math.min(...live, ...behind));',
    replacement: 'return this.#positionAt(behind.length < 0 ? 0 : this.#log.tail.head);',
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
    rare: { seed: 699, steps: 1000 },
  },
  {
    mistake: 'a change of the log is not told',
    file: 'connections/connection.ts',
    text: 'this.#sendGap(subscription.id, { from, to: this.#positionAt(sequence), reason });',
    replacement: '',
  },
  {
    mistake: 'a start resolved in another log is used',
    file: 'connections/connection.ts',
    text: 'while (generation !== this.#log.generation)',
    replacement: 'while (generation < 0)',
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
    mistake: 'index is off by one',
    file: 'log/entry-queue.ts',
    text: 'entry.sequence > sequence',
    replacement: 'entry.sequence >= sequence',
  },
  {
    mistake: 'evicts without raising the floor',
    file: 'log/tail.ts',
    text: 'this.#floor = entry.sequence;',
    replacement: '',
  },
  {
    mistake: 'evicts one event too late',
    file: 'log/tail.ts',
    text: 'this.#entries.length > eventsMax ||',
    replacement: 'this.#entries.length > eventsMax + 1 ||',
  },
  {
    mistake: 'a read that was cut at its limit counts as complete',
    file: 'log/tail.ts',
    text: 'if (entries.length < eventsMax) return { entries, through: this.#head };',
    replacement: 'if (entries.length <= eventsMax) return { entries, through: this.#head };',
  },
  {
    mistake: 'a scan that was cut short counts as complete',
    file: 'log/tail.ts',
    text: 'return { entries, through: last?.sequence ?? this.#head };',
    replacement: 'return { entries, through: last ? this.#head : this.#head };',
    test: 'log/tail.test.ts',
  },
  {
    mistake: 'does not look for expiry after a cold read',
    file: 'sources/cold-reads.ts',
    text: 'after.epoch === query.epoch && query.after + 1 >= after.firstSequence;',
    replacement: 'after.epoch === query.epoch;',
    test: 'sources/cold-reads.test.ts',
  },
  {
    mistake: 'reads of different patterns are shared',
    file: 'sources/cold-reads.ts',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text.
    text: ' ${query.patterns.key}',
    replacement: '',
  },
  {
    mistake: 'any number of cold reads at once',
    file: 'sources/permits.ts',
    text: 'if (this.#used < this.#max)',
    replacement: 'if (this.#used < 1_000_000)',
  },
  {
    mistake: 'a gap is told before the archive has had time',
    file: 'sources/cold-reads.ts',
    text: 'nowMs - progress.behind.sinceMs < ARCHIVE_LAG_MS',
    replacement: 'nowMs < progress.behind.sinceMs',
  },
  {
    mistake: "the archive's holes are skipped",
    file: 'sources/archive-reader.ts',
    text: 'const [hole] = missing;',
    replacement: 'const [hole] = missing.slice(missing.length);',
  },
  {
    mistake: 'a lost end is not noticed',
    file: 'log/event-log.ts',
    text: 'else if (this.isBeyond(end))',
    replacement: 'else if (end < 0)',
  },
  {
    mistake: 'a lost end is noticed only below the head',
    file: 'log/event-log.ts',
    text: 'Math.max(this.tail.head, this.#highestReserved)',
    replacement: 'this.tail.head',
  },
  {
    mistake: 'retention that overtakes a feed is not noticed',
    file: 'log/event-log.ts',
    text: 'if (sequence > this.tail.head + 1)',
    replacement: 'if (sequence < 0)',
  },
  {
    mistake: 'a cursor beyond the end is taken as it is',
    file: 'sources/start-resolver.ts',
    text: 'epoch !== log.epoch || from.sequence <= lastSequence',
    replacement: 'epoch !== log.epoch || from.sequence > 0',
  },
  {
    mistake: "earliest is the stream's first although an archive is there",
    file: 'sources/start-resolver.ts',
    text: 'Math.min(firstSequence, stream.firstSequence) - 1',
    replacement: 'Math.max(firstSequence, stream.firstSequence) - 1',
  },
  {
    mistake: 'falls behind at the end of what was not written',
    file: 'fan-out/subscriber-group.ts',
    text: 'connection.fallBehind(batch.after);',
    replacement: 'connection.fallBehind(batch.through);',
  },
  {
    mistake: 'forgets entries before every member has them',
    file: 'fan-out/subscriber-group.ts',
    text: 'this.#endRound(this.#round.head);',
    replacement: 'this.#endRound(this.#queue.last?.sequence ?? 0);',
  },
  {
    mistake: 'forgets entries when a turn ends, not a round',
    file: 'fan-out/subscriber-group.ts',
    text: 'if (this.#context.clock.nowMs() >= deadlineMs) return true;',
    replacement:
      'if (this.#context.clock.nowMs() >= deadlineMs) {\n        this.#endRound(this.#round.head);\n        return true;\n      }',
  },
  {
    mistake: 'shares batches that begin elsewhere',
    file: 'fan-out/subscriber-group.ts',
    text: 'shared.after === first && shared.head === head',
    replacement: 'shared.head === head',
  },
  {
    mistake: 'the feed never waits for a group that is full',
    file: 'fan-out/subscriber-group.ts',
    text: 'tasks.pauseFeed(this);',
    replacement: 'tasks.schedule(this);',
    test: 'fan-out/subscriber-group.test.ts',
  },
  {
    mistake: 'never looks at the clock',
    file: 'fan-out/subscriber-group.ts',
    text: 'if (writes < WRITES_PER_CLOCK) continue;',
    replacement: 'if (writes >= 0) continue;',
  },
  {
    mistake: 'who is live on a topic is remembered for ever',
    file: 'fan-out/hub.ts',
    text: 'else for (const topic of topics) topic.subscribers = undefined;',
    replacement: '',
  },
  {
    mistake: 'a wildcard over many topics is not known to them',
    file: 'fan-out/hub.ts',
    text: 'if (!topics) this.#generation++;',
    replacement: 'if (!topics) return;',
    test: 'fan-out/hub.test.ts',
  },
  {
    mistake: 'overwrites bytes that the kernel has not taken',
    file: 'fan-out/batch.ts',
    text: "if (result === 'retained')",
    replacement: "if (result === 'full')",
  },
  {
    mistake: 'batches of any size',
    file: 'fan-out/batch.ts',
    text: 'if (this.#bytes > 0 && this.#bytes + frame.length > BATCH_BYTES_MAX) this.#cut();',
    replacement: '',
  },
  {
    mistake: 'a turn runs all that waits',
    file: 'scheduling/task-scheduler.ts',
    text: 'if (clock.nowMs() >= deadlineMs) break;',
    replacement: '',
  },
  {
    mistake: 'tasks that a turn did not reach are dropped',
    file: 'scheduling/task-scheduler.ts',
    text: 'this.#waiting = [...tasks.slice(next), ...this.#waiting];',
    replacement: 'this.#waiting = [...tasks.slice(tasks.length), ...this.#waiting];',
  },
  {
    mistake: 'heartbeats only when nothing else is sent',
    file: 'connections/registry.ts',
    text: 'if (quietMs < dueMs && sinceHeartbeatMs < dueMs) return;',
    replacement: 'if (quietMs < dueMs) return;',
  },
  {
    mistake: 'lists all topics below a wildcard before it counts them',
    file: 'log/topic-index.ts',
    text: 'open.length + node.children.size > visitsMax &&',
    replacement: 'open.length < 0 &&',
    test: 'log/topic-index.test.ts',
  },
  {
    mistake: 'keeps empty nodes of patterns that are gone',
    file: 'fan-out/pattern-tree.ts',
    text: 'if (last && endOf(pattern, last).delete(value)) this.#wildcards--;',
    replacement: 'if (last) this.#wildcards--;',
    test: 'fan-out/pattern-tree.test.ts',
  },
  {
    mistake: 'takes the head of a feed that is behind for the latest',
    file: 'sources/start-resolver.ts',
    text: 'Math.max(stream.lastSequence, head)',
    replacement: 'head',
    test: 'sources/start-resolver.test.ts',
  },
  {
    mistake: 'answers a later call with an earlier end of the stream',
    file: 'sources/stream-end.ts',
    text: 'this.#next = undefined;',
    replacement: '',
    test: 'sources/start-resolver.test.ts',
  },
  {
    mistake: 'goes on with a read that everybody has left',
    file: 'sources/cold-reads.ts',
    text: "shared.leaving.abort(new Error('Nobody waits for this read any more.'));",
    replacement: '',
    test: 'sources/cold-reads.test.ts',
  },
  {
    mistake: 'tells a gap over what was dropped a moment ago',
    file: 'sources/cold-reads.ts',
    text: 'Math.min(progress.behind.through, lack.through)',
    replacement: 'dropped',
    test: 'sources/cold-reads.test.ts',
  },
];
