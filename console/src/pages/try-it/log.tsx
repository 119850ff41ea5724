import { distance, sequenceOf } from '../../events/cursors.ts';
import { count } from '../../ui/format.ts';
import { Panel } from '../../ui/panel.tsx';
import { Notice } from '../../ui/states.tsx';
import { type Entry, isSkipped } from './entry-list.ts';
import type { Trial } from './trial.ts';

/** Events that are drawn; as many of the newest as the page is wide for are seen. */
const DRAWN_MAX = 60;

/** The end of the log as a picture: the events of the topic, and where the subscriber stands among them. */
export function Log({ trial, head }: { trial: Trial; head: string | undefined }) {
  const entries = trial.entries.value.slice(-DRAWN_MAX);
  const position = sequenceOf(trial.position.value);
  const passed = entries.filter(({ sequence }) => position !== undefined && sequence <= position);
  const ahead = entries.slice(passed.length);
  const others = (distance(trial.position.value, head) ?? 0) - ahead.length;
  const isLive = trial.status.value?.state === 'live';
  const passing = isLive ? ', which the next heartbeat passes' : '';
  return (
    <Panel title="The log" actions={<Legend />}>
      <div class="try-log">
        <ol class="try-events" aria-label="Events of the topic that the subscriber has passed">
          {passed.map((entry) => (
            <Box key={entry.cursor} entry={entry} position={position} />
          ))}
        </ol>
        <div class={trial.isOn.value ? 'try-mark' : 'try-mark away'}>
          <span>{trial.isOn.value ? 'subscriber' : 'position'}</span>
        </div>
        <ol
          class="try-events ahead"
          aria-label="Events of the topic that the subscriber has not passed"
        >
          {ahead.map((entry) => (
            <Box key={entry.cursor} entry={entry} position={position} />
          ))}
        </ol>
        <div class="try-mark head">
          <span>head</span>
        </div>
      </div>
      <p class="quiet try-between">
        {ahead.length === 0
          ? 'No event of this topic is ahead'
          : `${count(ahead.length)} of this topic ahead`}
        {others > 0 ? `, and ${count(others)} of other topics${passing}` : ''}
      </p>
      {trial.losses.value.map(({ text }) => (
        <Notice key={text} kind="warning">
          The log no longer has a part: {text}
        </Notice>
      ))}
    </Panel>
  );
}

function Box({ entry, position }: { entry: Entry; position: number | undefined }) {
  const { number } = (entry.event.data ?? {}) as { number?: unknown };
  const state = isSkipped(entry, position) ? 'skipped' : (entry.how ?? 'not received');
  const shown = typeof number === 'number' ? number : '·';
  return (
    <li class={`try-box ${state.replace(' ', '-')}`} title={`${entry.cursor}: ${state}`}>
      {shown}
      <span class="hidden">, {state}</span>
    </li>
  );
}

function Legend() {
  return (
    <ul class="row try-legend">
      <li>
        <span class="try-box live" aria-hidden="true" /> live
      </li>
      <li>
        <span class="try-box catch-up" aria-hidden="true" /> caught up
      </li>
      <li>
        <span class="try-box not-received" aria-hidden="true" /> not received
      </li>
    </ul>
  );
}
