import { fetchEventSource } from '/node_modules/@microsoft/fetch-event-source/lib/esm/index.js';

/** Without the `onclose` that makes it come back after an end. */
export function listen(url, token, print) {
  const headers = { Authorization: `Bearer ${token}` };
  void fetchEventSource(url, { headers, onmessage: print });
}
