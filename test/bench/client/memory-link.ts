import type { Environment } from '../../../libs/client/dist/environment.js';
import { systemEnvironment } from '../../../libs/client/dist/environment.js';
import { layOut, stamp } from '../wire/event-layout.ts';

/** Messages that come with one read of a socket. */
const BURST = 150;
const EPOCH = 'bench';

interface Asked {
  readonly type: string;
  readonly id: string;
  readonly after: string;
}

/** The platform with a WebSocket that has no network: it makes the frames of a gateway as texts, and hands them over. */
export function memoryLink(topic: string, events: number, bytes: number): Environment {
  return {
    ...systemEnvironment(),
    socket: () => new MemorySocket(topic, events, bytes) as unknown as WebSocket,
  };
}

class MemorySocket {
  readyState = 1;
  onmessage: ((event: { data: string }) => void) | null = null;
  readonly #template: Buffer;
  readonly #events: number;
  #next = 0;
  #id = '';

  constructor(topic: string, events: number, bytes: number) {
    this.#template = layOut(topic, bytes);
    this.#events = events;
    setImmediate(() => this.#say({ type: 'welcome', heartbeatMs: 60_000 }));
  }

  send(text: string): void {
    const { type, id, after }: Asked = JSON.parse(text);
    if (type === 'unsubscribe') this.#id = '';
    if (type !== 'subscribe') return;
    this.#id = id;
    this.#next = Number(after.slice(EPOCH.length + 1));
    this.#say({ type: 'subscribed', id, cursor: after });
    setImmediate(() => this.#burst(id));
  }

  close(): void {
    this.readyState = 3;
  }

  #burst(id: string): void {
    for (let n = 0; n < BURST && this.#next < this.#events; n++) {
      if (this.readyState !== 1 || this.#id !== id) return;
      const counter = ++this.#next;
      const event = stamp(this.#template, { counter, timeUs: 0 }).toString('latin1');
      const data = `{"type":"event","cursor":"${EPOCH}-${counter}","event":${event}}`;
      this.onmessage?.({ data });
    }
    if (this.#next < this.#events) setImmediate(() => this.#burst(id));
  }

  #say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

/** The cursor before the first event. */
export const MEMORY_START = `${EPOCH}-0`;
