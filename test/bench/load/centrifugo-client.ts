import { seriesOf } from '../wire/series.ts';
import { type Command, encodeJson, encodeProtobuf } from './centrifugo-commands.ts';
import { CentrifugoProtobufReader } from './centrifugo-protobuf-reader.ts';
import { CentrifugoReader } from './centrifugo-reader.ts';
import { type ClientOptions, request, SocketClient, UPGRADE } from './socket-client.ts';

/** Where a subscription was: a channel has a stream of its own. */
interface Place {
  readonly epoch: string;
  readonly offset: number;
}

interface Reply {
  readonly id?: number;
  readonly error?: unknown;
  readonly connect?: unknown;
  readonly subscribe?: {
    readonly epoch?: string;
    readonly offset?: number;
    readonly recovered?: boolean;
  };
}

const CONNECT_ID = 1;
const FIRST_SUBSCRIBE_ID = 2;

const PROTOBUF = 'Sec-WebSocket-Protocol: centrifuge-protobuf';
/** A command without a content, which answers a ping. */
const PROTOBUF_PONG = Buffer.from([0]);

/**
 * A client of Centrifugo's JSON or Protobuf protocol over WebSocket. Like the client libraries it connects first, and
 * then subscribes to all channels in one frame.
 */
export class CentrifugoClient extends SocketClient {
  readonly #channels: readonly string[];
  readonly #epochs: string[] = [];
  readonly #offsets: number[] = [];
  #subscribed = 0;

  constructor(options: ClientOptions) {
    const { eventBytes, namespace, protobuf, timed } = options.plan;
    const channels = options.topics.map((topic) => (namespace ? `${namespace}:${topic}` : topic));
    const channelBytes = channels[0]?.length ?? 0;
    const headers = protobuf ? [...UPGRADE, PROTOBUF] : UPGRADE;
    super(options, request('/connection/websocket', headers), (listener) => {
      if (protobuf) return new CentrifugoProtobufReader(listener, { timed });
      return new CentrifugoReader(listener, { timed, eventBytes, channelBytes });
    });
    this.#channels = channels;
  }

  /** The position of each channel, or `undefined` before it has one on each. */
  get position(): string | undefined {
    if (this.#subscribed < this.#channels.length) return undefined;
    const places = this.#channels.map((_, index) => ({
      epoch: this.#epochs[index] ?? '',
      offset: this.#offsets[index] ?? 0,
    }));
    return JSON.stringify(places satisfies Place[]);
  }

  override onEvent(offset: number, counter: number, timeUs: number): void {
    // The topics of a client take turns in the series.
    this.#offsets[seriesOf(counter) % this.#channels.length] = offset;
    super.onEvent(offset, counter, timeUs);
  }

  onHead(head: string): void {
    this.opened(head, 101);
    const { token } = this.options.plan;
    this.#send([{ id: CONNECT_ID, connect: { token } }]);
    this.options.onChange(this);
  }

  override subscribe(): void {
    const { after } = this.options;
    const places: readonly Place[] = after === undefined ? [] : JSON.parse(after);
    const commands = this.#channels.map((channel, index) => {
      const place = places[index];
      return {
        id: FIRST_SUBSCRIBE_ID + index,
        subscribe: { channel, ...(place && { recover: true, ...place }) },
      };
    });
    this.#send(commands);
  }

  onControl(text: string): void {
    if (text === '{}') {
      if (this.options.plan.protobuf) this.socket.sendBinary(PROTOBUF_PONG);
      else this.socket.sendText('{}');
      return;
    }
    const { id, error, connect, subscribe } = JSON.parse(text) as Reply;
    if (connect) {
      if (!this.options.plan.together) this.subscribe();
    } else if (subscribe && id !== undefined && !error) {
      this.#onSubscribed(id - FIRST_SUBSCRIBE_ID, subscribe);
    } else {
      this.onFault(text);
    }
    this.options.onChange(this);
  }

  #send(commands: readonly Command[]): void {
    if (this.options.plan.protobuf) this.socket.sendBinary(encodeProtobuf(commands));
    else this.socket.sendText(encodeJson(commands));
  }

  #onSubscribed(
    index: number,
    { epoch, offset, recovered }: NonNullable<Reply['subscribe']>,
  ): void {
    if (this.options.after !== undefined && !recovered) this.onFault('it was not recovered');
    this.#epochs[index] = epoch ?? '';
    // Where publications were recovered, the last of them tells.
    if (offset !== undefined) this.#offsets[index] = offset;
    if (++this.#subscribed < this.#channels.length) return;
    this.begin('centrifu-0');
    this.live();
  }
}
