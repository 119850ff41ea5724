import ReconnectingEventSource from '/node_modules/reconnecting-eventsource/build/esm/reconnecting-eventsource.js';

/** Where the native EventSource gives up, it makes a new one at the last id of what it listens to. */
export function listen(url, _token, print) {
  const source = new ReconnectingEventSource(url, { withCredentials: true, max_retry_time: 500 });
  source.addEventListener('message', ({ lastEventId, type, data }) => {
    print({ id: lastEventId, event: type, data });
  });
  source.addEventListener('position', () => {});
}
