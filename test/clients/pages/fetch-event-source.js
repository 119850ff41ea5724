import { fetchEventSource } from '/node_modules/@microsoft/fetch-event-source/lib/esm/index.js';

export function listen(url, token, print) {
  void fetchEventSource(url, {
    headers: { Authorization: `Bearer ${token}` },
    openWhenHidden: true,
    onmessage: print,
    // It takes the end of a stream for the end of all, unless this throws.
    onclose() {
      throw new Error('The stream has ended.');
    },
    // Its return value is the wait in ms; `undefined` stands for what the server says.
    onerror: () => undefined,
  });
}
