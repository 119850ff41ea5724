import { type LogEvent, matches } from '@tidemark/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createCore } from '../core.ts';
import type { Sink } from '../fan-out/sink.ts';
import { EventEntry } from '../log/event-entry.ts';
import type { Clock } from '../scheduling/clock.ts';
import { webSocketEncoder } from '../transports/websocket/encoder.ts';
import { Connection, type Subscribing } from './connection.ts';

/* A connection that filters by types receives what a filter by hand keeps of one that does not. */

const topic = fc.constantFrom('a', 'b', 'a.b');
const type = fc.constantFrom('t', 't', 't', 't.a', 't.b', 'u');
const name = fc.constantFrom('t', 't.a', 't.b', 't*', 't.*', 'u', 'v*', '*');
const wish = fc.record({
  patterns: fc.uniqueArray(fc.constantFrom('a', 'b', 'a.*', '>'), { minLength: 1 }),
  types: fc.option(fc.array(name, { minLength: 1, maxLength: 3 }), { nil: undefined }),
});
const scene = fc.record({
  events: fc.array(fc.record({ topic, type }), { maxLength: 120 }),
  /** One subscription for each, on one connection. */
  wishes: fc.array(wish, { minLength: 1, maxLength: 3 }),
  /** How many events there are when they begin, and after which they begin. */
  there: fc.nat(120),
  after: fc.nat(120),
  tailEvents: fc.constantFrom(5, 50, 1000),
});

/** A stream that holds all events, a tail that holds the last, and no archive. */
class Stage {
  readonly #events: LogEvent[] = [];
  readonly #turns: (() => void)[] = [];
  readonly #core;

  constructor(tailEvents: number) {
    const clock: Clock = {
      nowMs: () => 0,
      soon: (turn) => void this.#turns.push(turn),
      after: () => () => {},
    };
    const bounds = async () => ({
      epoch: 'e',
      firstSequence: 1,
      lastSequence: this.#events.length,
    });
    const away = async (): Promise<never> => {
      throw new Error('There is no archive.');
    };
    this.#core = createCore({
      stream: {
        connected: true,
        bounds,
        boundsReaching: bounds,
        readSlice: async ({ patterns, after, through, eventsMax }) => {
          const range = this.#events.slice(after, through);
          const entries = range.filter((event) => patterns.matches(event.topic));
          const read = entries.slice(0, eventsMax).map((event) => new EventEntry('e', event));
          const isAll = read.length === entries.length;
          return { entries: read, through: isAll ? through : (read.at(-1)?.sequence ?? through) };
        },
        sequenceBefore: away,
      },
      archive: {
        bounds: away,
        readPage: away,
        findLast: away,
        readEvents: away,
        sequenceBefore: away,
      },
      clock,
      tail: { bytesMax: 1e9, eventsMax: tailEvents },
      coldReadsMax: 4,
      coldWaitMs: 1000,
    });
    this.#core.log.begin({ epoch: 'e', firstSequence: 1, lastSequence: 0 });
  }

  publish(event: { readonly topic: string; readonly type: string }): void {
    const sequence = this.#events.length + 1;
    const text = JSON.stringify({ id: String(sequence), data: { type: 'none' }, ...event });
    const stored = { sequence, topic: event.topic, timeMs: 0, json: Buffer.from(text) };
    this.#events.push(stored);
    this.#core.log.appendEvent(stored);
  }

  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 50; quiet++) {
      for (let turn = this.#turns.shift(); turn; turn = this.#turns.shift()) {
        quiet = 0;
        turn();
      }
      await Promise.resolve();
    }
  }

  /** @returns the connection, and the sequences that were written to it, in order */
  connect(wishes: readonly Pick<Subscribing, 'patterns' | 'types'>[], after: number) {
    const texts: string[] = [];
    const sink: Sink = {
      writable: true,
      unsentBytes: 0,
      takenBytes: 0,
      write: (bytes) => texts.push(Buffer.from(bytes).toString()) > 0,
      ping: () => {},
      close: () => {},
    };
    const connection = new Connection({
      context: this.#core,
      user: 'u',
      sink,
      encoder: webSocketEncoder,
      observer: {
        subscribed: () => undefined,
        unsubscribed: () => {},
        gap: () => {},
        closing: () => {},
      },
    });
    const position = { epoch: 'e', sequence: after };
    const start = { kind: 'cursor', position } as const;
    for (const [index, one] of wishes.entries()) {
      void connection.subscribe(String(index), { ...one, start, deliver: 'all' });
    }
    const received = () => {
      return texts.flatMap((text) => {
        return [...text.matchAll(/"event","cursor":"e-(\d+)"/g)].map(([, cursor]) =>
          Number(cursor),
        );
      });
    };
    return { connection, received, live: () => texts.join('').split('"type":"live"').length - 1 };
  }
}

test('types: any events, subscriptions, starts and tails: what a filter by hand keeps', async () => {
  await fc.assert(
    fc.asyncProperty(scene, async ({ events, wishes, there, after, tailEvents }) => {
      const stage = new Stage(tailEvents);
      for (const event of events.slice(0, there)) stage.publish(event);
      const start = Math.min(after, there, events.length);
      const given = wishes.map(({ patterns, types }) => ({ patterns, ...(types && { types }) }));
      const filtered = stage.connect(given, start);
      const plain = stage.connect([{ patterns: ['>'] }], start);
      await stage.settle();
      for (const event of events.slice(there)) stage.publish(event);
      await stage.settle();

      expect(plain.received()).toEqual(events.map((_, index) => index + 1).slice(start));
      const received = filtered.received();
      const kept = (list: number[], one: Wish) => {
        return list.filter((sequence) => wants(one, events[sequence - 1]));
      };
      // Each in its order; those that have nothing in common catch up apart.
      for (const one of wishes) expect(kept(received, one)).toEqual(kept(plain.received(), one));
      const wanted = plain.received().filter((sequence) => {
        return wishes.some((one) => wants(one, events[sequence - 1]));
      });
      expect(received.sort((left, right) => left - right)).toEqual(wanted);
      expect(filtered.live()).toBe(wishes.length);
      // The cursor has passed what was left out.
      expect(filtered.connection.position()?.sequence).toBe(events.length);
    }),
    { numRuns: 300 },
  );
});

interface Wish {
  readonly patterns: readonly string[];
  readonly types: readonly string[] | undefined;
}

function wants(
  { patterns, types = ['*'] }: Wish,
  event: { readonly topic: string; readonly type: string } | undefined,
): boolean {
  if (!event) return false;
  const isTyped = types.some((one) =>
    one.endsWith('*') ? event.type.startsWith(one.slice(0, -1)) : event.type === one,
  );
  return isTyped && patterns.some((pattern) => matches(pattern, event.topic));
}
