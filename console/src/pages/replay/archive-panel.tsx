import type { ReplayStats } from '../../api/types.ts';
import { Badge } from '../../ui/badge.tsx';
import { Copyable } from '../../ui/copyable.tsx';
import { bytes, count, duration, fullTime, short } from '../../ui/format.ts';
import { Panel } from '../../ui/panel.tsx';
import { ServiceState } from '../../ui/service-state.tsx';
import { Time } from '../../ui/time.tsx';
import { RebuildProgress } from './rebuild-progress.tsx';

interface ArchivePanelProps {
  readonly replay: ReplayStats;
  /** Until it is current, if it goes on as in the last seconds. */
  readonly closingInMs: number | undefined;
}

/** What one replay service has. */
export function ArchivePanel({ replay, closingInMs }: ArchivePanelProps) {
  return (
    <Panel title={replay.instance} actions={<State replay={replay} />}>
      <div class="stack">
        <dl class="figures">
          <Figure name="Events" value={count(replay.events)} />
          <Figure name="File" value={bytes(replay.bytes)} />
          <Figure
            name="Events behind"
            value={count(replay.behind)}
            note={closingInMs === undefined ? '' : `current in about ${duration(closingInMs)}`}
          />
          <Figure name="Requests per s" value={short(replay.requestsPerSecond)} />
        </dl>
        {replay.rebuild?.state === 'running' && (
          <RebuildProgress of={replay.instance} rebuild={replay.rebuild} />
        )}
        <dl class="facts">
          <dt>Has events up to</dt>
          <dd>
            <CursorOrNone cursor={replay.position} name="the position" />
          </dd>
          <dt>First event</dt>
          <dd>
            <CursorOrNone cursor={replay.first} name="the first event's cursor" />
          </dd>
          <dt>Memory</dt>
          <dd>{bytes(replay.memoryBytes)}</dd>
          <dt>Started</dt>
          <dd>
            <Time of={replay.startedAt} />
            <span class="quiet">
              , {fullTime(replay.startedAt)}, version {replay.version}
            </span>
          </dd>
        </dl>
      </div>
    </Panel>
  );
}

function State({ replay }: { replay: ReplayStats }) {
  const isCurrent = replay.behind === 0;
  return (
    <ServiceState of={replay}>
      {isCurrent ? <Badge kind="good">current</Badge> : <Badge kind="accent">behind</Badge>}
    </ServiceState>
  );
}

function Figure({ name, value, note = '' }: { name: string; value: string; note?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <strong>{value}</strong>
        {note && <span class="quiet">{note}</span>}
      </dd>
    </div>
  );
}

function CursorOrNone({ cursor, name }: { cursor: string | null; name: string }) {
  if (cursor === null) return <span class="quiet">none yet</span>;
  return <Copyable text={cursor} name={name} />;
}
