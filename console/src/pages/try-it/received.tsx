import { preview } from '../../events/preview.ts';
import { Badge } from '../../ui/badge.tsx';
import { count, duration } from '../../ui/format.ts';
import { Panel } from '../../ui/panel.tsx';
import { href } from '../../ui/route.ts';
import { Empty } from '../../ui/states.tsx';
import type { Entry } from './entry-list.ts';
import type { Trial } from './trial.ts';

const SHOWN_MAX = 100;

/** What the subscriber received, newest first, and how. */
export function Received({ trial }: { trial: Trial }) {
  const received = trial.entries.value.filter(({ how }) => how !== undefined);
  const caughtUp = received.filter(({ how }) => how === 'catch-up').length;
  const live = received.length - caughtUp;
  const figures = (
    <span class="quiet">
      {count(live)} live, {count(caughtUp)} caught up
    </span>
  );
  return (
    <Panel title="Received" actions={figures} flush>
      {received.length === 0 ? (
        <Empty title="Nothing yet">Publish an event.</Empty>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached with the keyboard
        <div class="table-scroll" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">How</th>
                <th scope="col">Cursor</th>
                <th scope="col" class="wide-only">
                  Type
                </th>
                <th scope="col">Data</th>
                <th scope="col" class="number">
                  Took
                </th>
              </tr>
            </thead>
            <tbody>
              {received
                .slice(-SHOWN_MAX)
                .reverse()
                .map((entry) => (
                  <Line key={entry.cursor} entry={entry} />
                ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function Line({ entry: { cursor, event, how, tookMs } }: { entry: Entry }) {
  return (
    <tr>
      <td>
        <Badge kind={how === 'live' ? 'good' : 'warning'}>
          {how === 'live' ? 'live' : 'caught up'}
        </Badge>
      </td>
      <td class="nowrap">
        <a class="mono" href={href('event', { cursor })}>
          {cursor}
        </a>
      </td>
      <td class="wide-only">{event.type}</td>
      <td class="mono">{preview(event)}</td>
      <td class="number" title="From the press of the button to the arrival">
        {tookMs === undefined ? '' : duration(tookMs)}
      </td>
    </tr>
  );
}
