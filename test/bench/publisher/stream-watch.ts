import { AckPolicy, DeliverPolicy, jetstreamManager } from '@nats-io/jetstream';
import { type NatsLink, STREAM_NAME } from '@tidemark/nats';
import { type Percentiles, percentiles } from '../report/percentiles.ts';
import { nowUs } from '../wire/clock.ts';
import { readDigits, TIME_AT, TIME_DIGITS } from '../wire/event-layout.ts';

/** The place of the time in the reply subject of a delivered message; newer servers have two tokens more before it. */
const TIME_TOKEN = 7;
const NEWER_TOKENS = 2;
const OLDER_LENGTH = 9;

/** The wall clock, as which NATS stamps what it stores, less the monotonic clock of all processes. */
const wallUs = (performance.timeOrigin + performance.now()) * 1000 - nowUs();

export interface WatchReport {
  /** From the post to the time that the stream gave the event. */
  readonly stored: Percentiles;
  /** From the post to a bare consumer, which has nothing else to do. */
  readonly consumed: Percentiles;
}

/** Watches with a consumer of its own when the stream has the events, and when it delivers them. */
export class StreamWatch {
  readonly #storedUs: number[] = [];
  readonly #consumedUs: number[] = [];
  #stop = (): void => {};

  static async open(link: NatsLink): Promise<StreamWatch> {
    const watch = new StreamWatch();
    const subject = link.createInbox();
    const subscription = link.subscribe(subject, {
      onMessage: ({ reply = '', data }) => watch.#note(reply, data),
      onEnded: () => {},
    });
    watch.#stop = () => subscription.unsubscribe();
    const { consumers } = await jetstreamManager(link.connection, { checkAPI: false });
    await consumers.add(STREAM_NAME, {
      deliver_subject: subject,
      deliver_policy: DeliverPolicy.New,
      ack_policy: AckPolicy.None,
      mem_storage: true,
    });
    return watch;
  }

  stop(): WatchReport {
    this.#stop();
    return { stored: percentiles(this.#storedUs), consumed: percentiles(this.#consumedUs) };
  }

  #note(reply: string, event: Uint8Array): void {
    const nowsUs = nowUs();
    const postedUs = readDigits(Buffer.from(event), TIME_AT, TIME_DIGITS);
    const tokens = reply.split('.');
    const shift = tokens.length > OLDER_LENGTH ? NEWER_TOKENS : 0;
    // Cut to microseconds first: nanoseconds since 1970 do not fit a double exactly.
    const stored = Number(tokens[TIME_TOKEN + shift]?.slice(0, -3)) - wallUs;
    this.#storedUs.push(stored - postedUs);
    this.#consumedUs.push(nowsUs - postedUs);
  }
}
