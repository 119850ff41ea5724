import type { Environment } from './environment.ts';
import type { LinkListener, OpenLink } from './wire.ts';

/** One WebSocket for all subscriptions (PROTOCOL 6). The token is a subprotocol: browsers send no header. */
export function webSocketLink(url: string, environment: Environment): OpenLink {
  const address = `${url.replace(/^http/, 'ws')}/v1/ws`;
  return (token, listener) => openSocket(address, token, listener, environment);
}

function openSocket(
  address: string,
  token: string,
  listener: LinkListener,
  environment: Environment,
): ReturnType<OpenLink> {
  const socket = environment.socket?.(address, ['tidemark.v1', `bearer.${token}`]);
  // Transports ask only where there is one.
  if (!socket) throw new TypeError();
  let over = false;
  const end = (code: number, reason: string) => {
    if (over) return;
    over = true;
    listener.ended({ code, reason });
  };
  socket.onmessage = ({ data }: MessageEvent<string>) => {
    if (over) return;
    listener.alive();
    listener.message(JSON.parse(data), data.length);
  };
  socket.onclose = ({ code, reason }) => end(code, reason);
  // `close` follows, and says more. After a handshake that failed it does not in Node 22.
  socket.onerror = () => environment.timer(() => end(1006, ''), 0);
  const send = (message: object) => {
    if (!over && socket.readyState === 1) socket.send(JSON.stringify(message));
  };
  return {
    subscribe: (id, request) => send({ type: 'subscribe', id, ...request }),
    unsubscribe: (id) => send({ type: 'unsubscribe', id }),
    authenticate: (next) => {
      send({ type: 'authenticate', token: next });
      return true;
    },
    ping: () => send({ type: 'ping' }),
    close: () => {
      // A dead peer never answers the closing handshake, so its end is not waited for.
      over = true;
      socket.close();
    },
  };
}
