import { connect } from '/client.js';

/* A chat room: what was said in the last day, then everything live, and messages that show at once. */

const ROOM = 'example.chat.lobby';
const DAY_MS = 24 * 3600_000;

const user = new URLSearchParams(location.search).get('user') ?? 'alice';
const tidemark = connect({
  url: location.origin,
  token: () => fetch(`/token?user=${user}`).then((answer) => answer.text()),
});

const byId = (id) => document.getElementById(id);
const lines = new Map();

/** The same event may come twice after a crash, and the own ones are there already. */
function show({ id, publisher, data }, isPending) {
  const line = lines.get(id) ?? document.createElement('li');
  line.textContent = `${publisher}: ${data.text}`;
  line.classList.toggle('pending', isPending);
  if (!lines.has(id)) byId('messages').append(line);
  lines.set(id, line);
  return line;
}

byId('form').addEventListener('submit', async (submitted) => {
  submitted.preventDefault();
  const event = {
    id: crypto.randomUUID(),
    type: 'chat.message',
    topic: ROOM,
    data: { text: byId('text').value },
  };
  byId('text').value = '';
  const line = show({ ...event, publisher: user }, true);
  // Waits while the service is away, and is stored once.
  await tidemark.publish(event).catch((error) => line.append(` (${error.message})`));
});

tidemark.on('status', ({ state }) => {
  byId('status').textContent = state;
});

const aDayAgo = new Date(Date.now() - DAY_MS).toISOString();
for await (const event of tidemark.subscribe(ROOM, { after: aDayAgo })) show(event, false);
