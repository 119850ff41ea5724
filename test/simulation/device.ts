import { logOf, parseCursor, type Start } from '@tidemark/protocol';
import type { Connection } from '../../services/gateway/src/connections/connection.ts';
import type { Member } from '../../services/gateway/src/connections/registry.ts';
import { type Decoder, type Received, SseDecoder, WebSocketDecoder } from './decoders.ts';
import type { SimulatedGateway } from './gateway.ts';
import type { History } from './history.ts';
import type { Reader } from './reader.ts';
import { SimulatedSocket } from './socket.ts';
import type { LogVersion } from './versions.ts';
import { ensure } from './violation.ts';

export type Transport = 'websocket' | 'sse';

/** The callbacks of a device. */
export interface DeviceOptions {
  readonly name: string;
  readonly gateway: SimulatedGateway;
  readonly history: History;
  readonly transport: Transport;
  readonly kernelBytesMax: number;
  readonly wrote: (device: Device) => void;
  readonly onClosed: (device: Device, reason: string) => void;
}

/** The client's side of one connection. It gives each message to the readers that it is for. */
export class Device {
  readonly name: string;
  readonly transport: Transport;
  readonly gateway: SimulatedGateway;
  readonly socket: SimulatedSocket;
  readonly readers = new Map<string, Reader>();
  connection: Connection | undefined;
  member: Member | undefined;
  /** Sends a message of the client as text; does nothing over SSE. */
  say: (text: string) => void = () => {};
  closed = false;
  readonly #history: History;
  readonly #onClosed: DeviceOptions['onClosed'];
  #pongs = 0;

  constructor(options: DeviceOptions) {
    const { name, gateway, history, transport, kernelBytesMax, wrote, onClosed } = options;
    this.name = name;
    this.gateway = gateway;
    this.transport = transport;
    this.#history = history;
    this.#onClosed = onClosed;
    const receive = (message: Received, version: LogVersion) => this.#receive(message, version);
    const decoder: Decoder =
      transport === 'sse' ? new SseDecoder(receive) : new WebSocketDecoder(receive);
    this.socket = new SimulatedSocket(
      {
        version: () => gateway.version,
        wrote: () => wrote(this),
        drained: () => this.connection?.drained(),
        received: (bytes, version) => decoder.decode(bytes, version),
        closed: (reason) => this.end(reason),
      },
      kernelBytesMax,
    );
  }

  /** The client's side of a WebSocket answers pings when it reads. */
  answerPings(nowMs: number): void {
    if (this.#pongs === this.socket.pings || !this.member) return;
    this.#pongs = this.socket.pings;
    this.member.lastReceivedMs = nowMs;
  }

  /** @param after the start as the client writes it */
  ask(reader: Reader, start: Start, after: string): void {
    const { firstSequence: first, lastSequence } = this.#history.bounds();
    const { version, log } = this.gateway;
    const { version: stored } = this.#history;
    const nowMs = this.gateway.clock.nowMs();
    reader.ask({ start, nowMs, lastSequence, head: log.tail.head, first, version, stored });
    this.readers.set(reader.id, reader);
    const { id, patterns, types, deliver } = reader;
    const filter = types && { types };
    if (this.transport === 'websocket') {
      const message = { type: 'subscribe', id, topics: patterns, ...filter, after, deliver };
      this.say(JSON.stringify(message));
    } else {
      this.connection?.subscribe('', { patterns, ...filter, start, deliver }).catch(() => {
        this.connection?.close('unavailable', 'The subscription failed.');
      });
    }
  }

  unsubscribe(reader: Reader): void {
    reader.closing = true;
    this.say(JSON.stringify({ type: 'unsubscribe', id: reader.id }));
  }

  /** Called when the connection has ended, for any reason. */
  end(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.socket.destroy();
    if (this.member) this.gateway.registry.removeMember(this.member);
    this.connection?.ended();
    for (const reader of this.readers.values()) reader.leave();
    this.#onClosed(this, reason);
  }

  #receive(message: Received, version: LogVersion): void {
    if (message.type === 'event') this.#receiveEvent(message, version);
    else if (message.type === 'last') this.#receiveLast(message);
    else if (message.type === 'heartbeat') this.#receiveHeartbeat(message.cursor, version);
    else if ('id' in message && message.id !== undefined) this.#receiveNamed(message, version);
  }

  #receiveNamed(
    message: Exclude<Received, { type: 'event' | 'last' | 'heartbeat' }>,
    version: LogVersion,
  ): void {
    const moves = this.transport === 'sse';
    if (message.type === 'subscribed') this.#named(message.id).confirm(message.cursor, version);
    else if (message.type === 'gap') this.#named(message.id).passGap(message, version);
    else if (message.type === 'live')
      this.#named(message.id).goLive(message.cursor, version, moves);
    else if (message.type === 'skipped') this.#receiveSkipped(message, version);
    else if (message.type === 'unsubscribed') this.#forget(message.id);
    else if (message.type === 'error') this.#receiveError(message.id ?? '', message.code);
  }

  #receiveSkipped(
    { id, count, cursor }: Extract<Received, { type: 'skipped' }>,
    version: LogVersion,
  ): void {
    this.#named(id).skip(count, cursor, version);
  }

  #receiveError(id: string, code: string): void {
    // An unsubscribe that crossed the end of its subscription.
    if (code === 'not_found') return;
    if (this.readers.has(id)) this.#forget(id);
  }

  #receiveEvent({ cursor, json }: { cursor: string; json: Buffer }, version: LogVersion): void {
    const position = parseCursor(cursor);
    const record = this.#history.find(json);
    if (!record) throw new Error(`${this.name} received what nobody stored.`);
    const { sequence, topic } = record;
    const right = position.epoch === version.epoch && position.sequence === sequence;
    ensure(right, 'cursor', () => `${this.name} got ${version.epoch}-${sequence} as ${cursor}`);
    const sameLog = logOf(position.epoch) === record.log;
    ensure(sameLog, 'cursor', () => `${this.name} got ${cursor} of ${record.log}`);
    // Until its feed starts again, a gateway may read a stream that has lost its end and grown again.
    const isNewer = record.view > version.view;
    ensure(this.#history.has(version, record) || record.lost || isNewer, 'view', () => {
      return `${this.name} got ${cursor}, which the log of ${version.epoch}/${version.view} has not`;
    });
    const readers = [...this.readers.values()];
    const wanted = readers.some((reader) => reader.state === 'confirmed' && reader.matches(record));
    ensure(wanted, 'topics', () => {
      return `${this.name} got ${topic} ${record.type}, which it has not subscribed to`;
    });
    let receivers = 0;
    for (const reader of readers) if (reader.receive(record, position, version)) receivers++;
    ensure(receivers > 0, 'once, in order', () => {
      const cursors = readers.map((reader) => `${reader.id}@${reader.cursor?.sequence}`);
      return `${this.name} got ${cursor} ${topic} again (${cursors.join(' ')})`;
    });
  }

  #receiveLast({ id, cursor, json }: Extract<Received, { type: 'last' }>): void {
    const record = this.#history.find(json);
    if (!record) throw new Error(`${this.name} received what nobody stored.`);
    const right = cursor === '' || parseCursor(cursor).sequence === record.sequence;
    ensure(right, 'cursor', () => `${this.name} got ${record.sequence} as ${cursor}`);
    this.#named(id).receiveLast(record);
  }

  #receiveHeartbeat(cursor: string | undefined, version: LogVersion): void {
    if (cursor === undefined) return;
    for (const reader of this.readers.values()) reader.passHeartbeat(cursor, version);
  }

  #forget(id: string): void {
    this.#named(id).leave();
    this.readers.delete(id);
  }

  #named(id: string): Reader {
    const reader = this.transport === 'sse' ? [...this.readers.values()][0] : this.readers.get(id);
    if (!reader)
      throw new Error(`${this.name} was told of ${JSON.stringify(id)}, which is unknown.`);
    return reader;
  }
}
