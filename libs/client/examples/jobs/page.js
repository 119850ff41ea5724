import { connect } from '/client.js';

/*
 * The progress of jobs: their present state first, then changes. Jobs say more often how far they are than a page has to
 * know: one that is slow gets the newest of each job, and how many it was spared.
 */

const tidemark = connect({
  url: location.origin,
  token: () => fetch('/token').then((answer) => answer.text()),
});

const byId = (id) => document.getElementById(id);
const lines = new Map();
let skipped = 0;

function show({ topic, data: { percent } }) {
  const line = lines.get(topic) ?? document.createElement('li');
  if (!lines.has(topic)) {
    line.append(
      topic.split('.').at(-1),
      Object.assign(document.createElement('progress'), { max: 100 }),
    );
    byId('jobs').prepend(line);
    lines.set(topic, line);
  }
  line.querySelector('progress').value = percent;
}

byId('start').addEventListener('click', () => fetch('/api/jobs', { method: 'POST' }));

const jobs = tidemark.subscribe('example.jobs.*', { after: 'last', deliver: 'latest' });
jobs.on('skipped', ({ count }) => {
  skipped += count;
  byId('status').textContent = `${skipped} steps skipped`;
});
for await (const event of jobs) {
  show(event);
  if (byId('slow').checked) await new Promise((resolve) => setTimeout(resolve, 500));
}
