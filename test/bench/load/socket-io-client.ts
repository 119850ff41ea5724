import { type ClientOptions, request, SocketClient, UPGRADE } from './socket-client.ts';
import { SocketIoReader } from './socket-io-reader.ts';

/** Where a client of connection state recovery was: its session, and the id of its last packet. */
interface Place {
  readonly pid: string;
  readonly offset: string;
}

/**
 * A client of Engine.IO 4 over WebSocket: `0` opens, `40` joins the namespace, `2` is a ping. The server
 * of the benchmarks puts it into the rooms of its topics. Where it comes back, it asks for its session.
 */
export class SocketIoClient extends SocketClient {
  readonly #reader: SocketIoReader;
  #pid: string | undefined;

  constructor(options: ClientOptions) {
    const path = '/socket.io/?EIO=4&transport=websocket';
    let created: SocketIoReader | undefined;
    super(options, request(path, UPGRADE), (listener) => {
      created = new SocketIoReader(listener, options.plan);
      return created;
    });
    this.#reader = created as unknown as SocketIoReader;
  }

  get position(): string | undefined {
    const offset = this.#reader.lastOffset;
    if (this.#pid === undefined || offset === undefined) return undefined;
    return JSON.stringify({ pid: this.#pid, offset } satisfies Place);
  }

  onHead(head: string): void {
    this.opened(head, 101);
    this.options.onChange(this);
  }

  onControl(text: string): void {
    if (text.startsWith('0')) this.#join();
    else if (text.startsWith('40')) this.#joined(JSON.parse(text.slice(2)).pid);
    else if (text === '2') this.socket.sendText('3');
    else if (text.startsWith('44')) this.onFault(text);
    this.options.onChange(this);
  }

  #join(): void {
    const { after, topics } = this.options;
    const place: Partial<Place> = after === undefined ? {} : JSON.parse(after);
    this.socket.sendText(`40${JSON.stringify({ topics, ...place })}`);
  }

  #joined(pid: string | undefined): void {
    const { after } = this.options;
    if (after !== undefined && (JSON.parse(after) as Place).pid !== pid) {
      this.onFault('its session was not restored');
    }
    this.#pid = pid;
    this.begin('socketio-0');
    this.live();
  }
}
