import { WebSocket } from 'ws';

const SAMPLING_US = 500;

/** Profiles a Node process through its inspector, only during a measurement. */
export class Profiler {
  readonly #inspector: WebSocket;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #calls = 0;

  private constructor(inspector: WebSocket) {
    this.#inspector = inspector;
    inspector.on('message', (bytes) => {
      const { id, result } = JSON.parse(bytes.toString());
      this.#waiting.get(id)?.(result);
      this.#waiting.delete(id);
    });
  }

  static async connect(url: string): Promise<Profiler> {
    const inspector = new WebSocket(url, { perMessageDeflate: false });
    await new Promise((resolve, reject) => {
      inspector.once('open', resolve);
      inspector.once('error', reject);
    });
    const profiler = new Profiler(inspector);
    await profiler.#call('Profiler.enable');
    await profiler.#call('Profiler.setSamplingInterval', { interval: SAMPLING_US });
    return profiler;
  }

  async start(): Promise<void> {
    await this.#call('Profiler.start');
  }

  /** @returns a `.cpuprofile` that DevTools can load */
  async stop(): Promise<string> {
    const { profile } = (await this.#call('Profiler.stop')) as { profile: unknown };
    return JSON.stringify(profile);
  }

  close(): void {
    this.#inspector.terminate();
  }

  #call(method: string, params: object = {}): Promise<unknown> {
    const id = this.#calls++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#inspector.send(JSON.stringify({ id, method, params }));
    });
  }
}
