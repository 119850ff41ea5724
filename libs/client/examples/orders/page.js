import { connect } from '/client.js';

/* State of the application's own back end, and each change of it since, without a race between the two. */

const tidemark = connect({
  url: location.origin,
  token: () => fetch('/token').then((answer) => answer.text()),
});

const orders = tidemark.join({
  topics: 'example.orders.*',
  fetchState: () => fetch('/api/orders').then((answer) => answer.json()),
  // The state may have a change already: the version tells.
  apply: (state, { data }) =>
    data.version > (state[data.name]?.version ?? 0) ? { ...state, [data.name]: data } : state,
});

tidemark.on('status', ({ state }) => {
  document.getElementById('status').textContent = state;
});

orders.on('change', (state) => {
  const rows = Object.values(state).map(({ name, version, total }) => {
    const row = document.createElement('tr');
    row.append(
      ...[name, version, total].map((text) =>
        Object.assign(document.createElement('td'), { textContent: text }),
      ),
    );
    return row;
  });
  document.getElementById('orders').replaceChildren(...rows);
});
