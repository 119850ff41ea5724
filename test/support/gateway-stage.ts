import type { LogEvent } from '@tidemark/protocol';
import { Connection, type Subscribing } from '../../services/gateway/src/connections/connection.ts';
import type { ConnectionContext } from '../../services/gateway/src/connections/context.ts';
import { createCore } from '../../services/gateway/src/core.ts';
import type { Sink } from '../../services/gateway/src/fan-out/sink.ts';
import { EventEntry } from '../../services/gateway/src/log/event-entry.ts';
import type { Clock } from '../../services/gateway/src/scheduling/clock.ts';
import type { ColdQuery } from '../../services/gateway/src/sources/cold-reads.ts';
import { webSocketEncoder } from '../../services/gateway/src/transports/websocket/encoder.ts';

/** A wait that ends at once: that of a scan for others. The clock stands still, so no other time is over by itself. */
const SHORT_MS = 50;

/** A gateway's core without NATS: a stream that holds all events, a tail that holds the last, and no archive. */
export class Stage {
  readonly #events: LogEvent[] = [];
  readonly #turns: (() => void)[] = [];
  readonly #core;
  /** The clock's time. */
  nowMs = 0;
  /** Called for each read of the stream, before it is answered. */
  onRead: () => void = () => {};
  /** Called when the stream has answered for its bounds, before the answer arrives. */
  onBounds: () => void = () => {};

  constructor(tailEvents: number) {
    const clock: Clock = {
      nowMs: () => this.nowMs,
      soon: (turn) => void this.#turns.push(turn),
      after: (ms, task) => {
        if (ms <= SHORT_MS) this.#turns.push(task);
        return () => {};
      },
    };
    const bounds = async () => {
      const answer = { epoch: 'e', firstSequence: 1, lastSequence: this.#events.length };
      this.onBounds();
      return answer;
    };
    const away = async (): Promise<never> => {
      throw new Error('There is no archive.');
    };
    const readSlice = async ({ patterns, after, through, eventsMax }: ColdQuery) => {
      this.onRead();
      const range = this.#events.slice(after, through);
      const entries = range.filter((event) => patterns.matches(event.topic));
      const read = entries.slice(0, eventsMax).map((event) => new EventEntry('e', event));
      const isAll = read.length === entries.length;
      return { entries: read, through: isAll ? through : (read.at(-1)?.sequence ?? through) };
    };
    this.#core = createCore({
      stream: {
        connected: true,
        bounds,
        boundsReaching: bounds,
        readSlice,
        readSlices: (queries) => Promise.all(queries.map(readSlice)),
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

  get core(): ConnectionContext {
    return this.#core;
  }

  /** Stores an event that the gateway has not received yet. */
  store(event: { readonly topic: string; readonly type: string }): LogEvent {
    const sequence = this.#events.length + 1;
    const text = JSON.stringify({ id: String(sequence), data: { type: 'none' }, ...event });
    const stored = { sequence, topic: event.topic, timeMs: 0, json: Buffer.from(text) };
    this.#events.push(stored);
    return stored;
  }

  /** The stream loses its end, and the gateway's feed begins anew. */
  loseAfter(sequence: number): void {
    this.#events.length = sequence;
    this.#core.log.begin({ epoch: 'e', firstSequence: 1, lastSequence: sequence });
  }

  publish(event: { readonly topic: string; readonly type: string }): void {
    this.#core.log.appendEvent(this.store(event));
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

  /**
   * @param socket the parts of its sink that a test looks at
   * @returns the connection, and the sequences that were written to it, in order
   */
  connect(
    wishes: readonly Pick<Subscribing, 'patterns' | 'types'>[],
    after: number,
    socket: { writable: boolean; unsentBytes: number } = { writable: true, unsentBytes: 0 },
  ) {
    const texts: string[] = [];
    const sink: Sink = {
      get writable() {
        return socket.writable;
      },
      get unsentBytes() {
        return socket.unsentBytes;
      },
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
    return {
      connection,
      texts,
      received,
      live: () => texts.join('').split('"type":"live"').length - 1,
    };
  }
}
