import type { Stream } from '../../api/types.ts';
import { Badge } from '../../ui/badge.tsx';
import { Copyable } from '../../ui/copyable.tsx';
import { fullTime } from '../../ui/format.ts';
import { Panel } from '../../ui/panel.tsx';
import { Time } from '../../ui/time.tsx';
import { Limits } from './limits.tsx';
import { Replicas } from './replicas.tsx';

/** The stream of the events: what it holds, against its limits, and its replicas. */
export function StreamPanel({ stream }: { stream: Stream }) {
  return (
    <Panel
      title={stream.name}
      actions={
        <span class="row">
          <code class="quiet">{stream.subjects.join(', ')}</code>
          <Badge>{stream.storage}</Badge>
        </span>
      }
    >
      <div class="columns wide-gap">
        <Limits stream={stream} />
        <div class="stack">
          <Span stream={stream} />
          <Replicas stream={stream} />
        </div>
      </div>
    </Panel>
  );
}

function Span({ stream: { firstCursor, firstTime, lastTime } }: { stream: Stream }) {
  if (firstTime === null || lastTime === null) return <p class="quiet">It is empty.</p>;
  return (
    <dl class="facts">
      <dt>Newest</dt>
      <dd>
        <Time of={lastTime} />
      </dd>
      <dt>Oldest</dt>
      <dd>{fullTime(firstTime)}</dd>
      {firstCursor && <dt>First cursor</dt>}
      {firstCursor && (
        <dd>
          <Copyable text={firstCursor} name="the first cursor" />
        </dd>
      )}
    </dl>
  );
}
