import '/node_modules/event-source-polyfill/src/eventsource.js';

export function listen(url, token, print) {
  const headers = { Authorization: `Bearer ${token}` };
  const source = new globalThis.EventSourcePolyfill(url, { headers });
  source.onmessage = ({ lastEventId, type, data }) => print({ id: lastEventId, event: type, data });
}
