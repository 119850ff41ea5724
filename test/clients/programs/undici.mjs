// Listens with the EventSource of undici: `undici.mjs <url> <token>`.
import { Agent, EventSource } from 'undici';

const [url, token] = process.argv.slice(2);

const authorize = (dispatch) => (options, sink) => {
  return dispatch({ ...options, headers: withToken(options.headers) }, sink);
};

/** The headers come as pairs. */
function withToken(headers) {
  return [...Object.entries(headers).flat(), 'authorization', `Bearer ${token}`];
}

const source = new EventSource(url, { node: { dispatcher: new Agent().compose(authorize) } });
source.onmessage = ({ lastEventId, type, data }) => {
  console.log(JSON.stringify({ id: lastEventId, event: type, data }));
};

// It ends with the process that has nothing else to do while it waits to come back.
setInterval(() => {}, 60_000);
