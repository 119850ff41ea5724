// Listens with the package `eventsource`: `eventsource.mjs <url> <token> <package>`.
const [url, token, name] = process.argv.slice(2);
const { EventSource } = await import(name);

const source = new EventSource(url, {
  fetch: (target, init) => {
    return fetch(target, {
      ...init,
      headers: { ...init.headers, Authorization: `Bearer ${token}` },
    });
  },
});
source.onmessage = ({ lastEventId, type, data }) => {
  console.log(JSON.stringify({ id: lastEventId, event: type, data }));
};

// Version 5 ends with the process that has nothing else to do while it waits to come back.
setInterval(() => {}, 60_000);
