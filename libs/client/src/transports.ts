import type { Environment } from './environment.ts';
import type { Http } from './http.ts';
import { webSocketLink } from './web-socket.ts';
import type { Link, LinkListener, OpenLink } from './wire.ts';

/** After so many failures of WebSocket where the gateway answers requests, SSE is tried. */
const FAILURES = 2;
/** For so long; then WebSocket has another chance. */
const SSE_MS = 5 * 60_000;

/** Chooses between WebSocket and SSE, by what got through. */
export class Transports {
  readonly #environment: Environment;
  readonly #webSocket: OpenLink;
  readonly #sse: OpenLink;
  #failures = 0;
  #sseUntil: number | undefined;

  constructor(url: string, environment: Environment, http: () => Promise<Http>) {
    this.#environment = environment;
    this.#webSocket = webSocketLink(url, environment);
    this.#sse = linkOnDemand(async () => (await http()).openSse);
  }

  open(token: string, listener: LinkListener): Link {
    const open = this.#isSse() ? this.#sse : this.#webSocket;
    return open(token, listener);
  }

  /**
   * The last link did not open, though the gateway answers requests.
   * @param isSilent it waited for an answer, as long as a link may: once is enough
   */
  failed(isSilent: boolean): void {
    if (this.#isSse() || (++this.#failures < FAILURES && !isSilent)) return;
    this.#sseUntil = this.#environment.now() + SSE_MS;
  }

  worked(): void {
    if (!this.#isSse()) this.#failures = 0;
  }

  /** Perhaps another network: the next attempt may be by WebSocket again. */
  forget(): void {
    if (this.#sseUntil === undefined) return;
    this.#sseUntil = undefined;
    // One failure is enough to come back to SSE.
    this.#failures = FAILURES - 1;
  }

  /** How long SSE is used before WebSocket has another chance; `undefined` where there is nothing to come back to. */
  get sseForMs(): number | undefined {
    if (!this.#environment.socket || !this.#isSse()) return undefined;
    return (this.#sseUntil ?? 0) - this.#environment.now();
  }

  #isSse(): boolean {
    if (!this.#environment.socket) return true;
    if (this.#sseUntil === undefined) return false;
    if (this.#environment.now() < this.#sseUntil) return true;
    this.forget();
    return false;
  }
}

/** A link whose code may have to be loaded first. */
function linkOnDemand(load: () => Promise<OpenLink>): OpenLink {
  return (token, listener) => {
    let link: Link | undefined;
    let isOver = false;
    load().then(
      (open) => {
        if (!isOver) link = open(token, listener);
      },
      // As with every link that does not open, there is a next attempt.
      (error: unknown) => isOver || listener.ended({ code: 1006, reason: String(error) }),
    );
    return {
      // Nobody subscribes before `welcome`, which the link says.
      subscribe: (id, request) => link?.subscribe(id, request),
      unsubscribe: (id) => link?.unsubscribe(id),
      authenticate: () => false,
      ping: () => undefined,
      close: () => {
        isOver = true;
        link?.close();
      },
    };
  };
}
