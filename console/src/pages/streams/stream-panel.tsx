import type { Stream, StreamReplica } from '../../api/types.ts';
import { Badge } from '../../ui/badge.tsx';
import { Meter } from '../../ui/bar.tsx';
import { Copyable } from '../../ui/copyable.tsx';
import { ago, bytes, count, duration, fullTime } from '../../ui/format.ts';
import { Panel } from '../../ui/panel.tsx';
import { Time } from '../../ui/time.tsx';

/** From here on a limit is near enough to tell. */
const NEAR = 0.9;

/** One stream: what it holds, against its limits, and its replicas. */
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
      <div class="columns">
        <div class="stack">
          <Limits stream={stream} />
          <Span stream={stream} />
        </div>
        <Replicas stream={stream} />
      </div>
    </Panel>
  );
}

function Limits({ stream: { messages, bytes: size, firstTime, limits } }: { stream: Stream }) {
  const ageMs = firstTime === null ? 0 : Math.max(0, Date.now() - new Date(firstTime).getTime());
  return (
    <div class="limits">
      <Limit name="Messages" value={messages} max={limits.messages} show={count} />
      <Limit name="Size" value={size} max={limits.bytes} show={bytes} warn />
      <Limit
        name="Age of the oldest"
        value={ageMs}
        max={limits.ageSeconds && limits.ageSeconds * 1000}
        show={(ms) => (firstTime === null ? '–' : duration(ms))}
      />
    </div>
  );
}

interface LimitProps {
  readonly name: string;
  readonly value: number;
  readonly max: number | null | undefined;
  readonly show: (value: number) => string;
  /** A stream that is full of bytes refuses events; one at its age only forgets the oldest, as it should. */
  readonly warn?: boolean;
}

function Limit({ name, value, max, show, warn = false }: LimitProps) {
  const hasLimit = typeof max === 'number' && max > 0;
  const text = hasLimit ? `${show(value)} of ${show(max)}` : show(value);
  return (
    <div class="stack tight">
      <div class="row spread">
        <span class="quiet">{name}</span>
        <span>
          <strong>{show(value)}</strong>
          <span class="quiet">{hasLimit ? ` of ${show(max)}` : ', no limit'}</span>
        </span>
      </div>
      {hasLimit && (
        <Meter label={name} value={value} max={max} text={text} {...(warn && { warnAt: NEAR })} />
      )}
    </div>
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
      <dd title={ago(firstTime)}>{fullTime(firstTime)}</dd>
      {firstCursor && <dt>First cursor</dt>}
      {firstCursor && (
        <dd>
          <Copyable text={firstCursor} name="the first cursor" />
        </dd>
      )}
    </dl>
  );
}

function Replicas({ stream: { name, replicas, leader } }: { stream: Stream }) {
  return (
    <div class="stack tight">
      <h3>{replicas.length === 1 ? '1 replica' : `${replicas.length} replicas`}</h3>
      {leader === null && <p class="bad-text">No leader: nothing can be stored or read.</p>}
      <ul class="replicas" aria-label={`Replicas of ${name}`}>
        {replicas.map((replica) => (
          <li key={replica.name} class="row spread">
            <span class="cut">{replica.name}</span>
            <span class="row">
              {replica.leader && <Badge kind="accent">leader</Badge>}
              <ReplicaState replica={replica} />
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function ReplicaState({ replica: { offline, current, lag } }: { replica: StreamReplica }) {
  if (offline) return <Badge kind="bad">offline</Badge>;
  if (!current) return <Badge kind="warning">{count(lag)} behind</Badge>;
  return <Badge kind="good">current</Badge>;
}
