/** The EventSource of the browser. It sends no header of ours, so the cookie says who it is. */
export function listen(url, _token, print) {
  const source = new EventSource(url, { withCredentials: true });
  source.onmessage = ({ lastEventId, type, data }) => print({ id: lastEventId, event: type, data });
}
