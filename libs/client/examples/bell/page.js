import { connect } from '/client.js';
import { openInbox } from '/client-inbox.js';

/* A notification bell: what is new for this user, on all devices, with counts that cannot drift. */

const user = new URLSearchParams(location.search).get('user') ?? 'alice';
const tidemark = connect({
  url: location.origin,
  token: () => fetch(`/token?user=${user}`).then((answer) => answer.text()),
});
const inbox = openInbox(tidemark);

const byId = (id) => document.getElementById(id);

inbox.on('change', ({ items, counts, hasOlder }) => {
  const { unread, more } = counts;
  byId('unread').textContent = unread === 0 ? '' : `${unread}${more ? '+' : ''}`;
  byId('older').hidden = !hasOlder;
  byId('items').replaceChildren(...items.map(toLine));
});

function toLine({ cursor, event, state }) {
  const line = document.createElement('li');
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = state.read ? 'Mark as unread' : 'Mark as read';
  button.onclick = () => (state.read ? inbox.unread([cursor]) : inbox.read({ cursors: [cursor] }));
  line.classList.toggle('unread', !state.read);
  line.append(button, ` ${event.data.text}`);
  return line;
}

byId('bell').onclick = () => {
  byId('panel').hidden = !byId('panel').hidden;
  byId('bell').setAttribute('aria-expanded', String(!byId('panel').hidden));
  if (!byId('panel').hidden) inbox.seen();
};
byId('older').onclick = () => inbox.older();
byId('send').onclick = () =>
  tidemark.publish({
    type: 'parcel.arrived',
    topic: `user.${user}.parcels`,
    data: { text: `A parcel came at ${new Date().toLocaleTimeString()}.` },
  });

tidemark.on('status', ({ state }) => {
  byId('status').textContent = state;
});
// What everybody gets who follows it, by one event.
await inbox.follow('example.announcements.*');
