import { useEffect, useState } from 'preact/hooks';
import { me } from '../../api/session.ts';
import { distance } from '../../events/cursors.ts';
import { permits } from '../../events/grants.ts';
import { StatusBadge } from '../../events/status-badge.tsx';
import { Badge } from '../../ui/badge.tsx';
import { count } from '../../ui/format.ts';
import { Panel } from '../../ui/panel.tsx';
import { Failed } from '../../ui/states.tsx';
import { BURST_MAX, type Trial, type TrialChoice } from './trial.ts';

interface ControlsProps {
  readonly trial: Trial;
  readonly choice: TrialChoice;
  readonly head: string | undefined;
}

/** While "keep publishing" is on. */
const EVERY_MS = 700;

export function Controls({ trial, choice, head }: ControlsProps) {
  return (
    <div class="columns">
      <Subscriber trial={trial} head={head} />
      <Publisher trial={trial} choice={choice} />
    </div>
  );
}

function Subscriber({ trial, head }: Omit<ControlsProps, 'choice'>) {
  const isOn = trial.isOn.value;
  const position = trial.position.value;
  // A live subscriber has all of its topic; a heartbeat moves its position past the events of others.
  const behind = trial.status.value?.state === 'live' ? 0 : distance(position, head);
  const missed = trial.entries.value.filter(({ how }) => how === undefined).length;
  const badge = isOn ? (
    <StatusBadge status={trial.status.value} />
  ) : (
    <Badge kind="bad">cut off</Badge>
  );
  return (
    <Panel title="Subscriber" actions={badge}>
      <div class="stack">
        <button
          type="button"
          role="switch"
          class={isOn ? 'try-switch on' : 'try-switch'}
          aria-checked={isOn}
          onClick={() => (isOn ? trial.cut() : trial.comeBack())}
        >
          <span class="try-knob" aria-hidden="true" />
          Connection
        </button>
        <dl class="try-figures">
          <Figure name="Position" value={position ?? 'none yet'} isCode />
          <Figure name="Head of the log" value={head ?? '…'} isCode />
          <Figure name="Behind" value={behind === undefined ? '…' : count(behind)} />
          <Figure name="Missed of this topic" value={isOn ? '0' : count(missed)} />
        </dl>
        {trial.error.value !== undefined && <Failed error={trial.error.value} />}
      </div>
    </Panel>
  );
}

function Figure({
  name,
  value,
  isCode = false,
}: {
  name: string;
  value: string;
  isCode?: boolean;
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={isCode ? 'mono' : 'try-number'}>{value}</dd>
    </div>
  );
}

function Publisher({ trial, choice }: Omit<ControlsProps, 'head'>) {
  const [error, setError] = useState<unknown>();
  const [isGoingOn, setGoingOn] = useState(false);
  const mayPublish = permits(me.value?.permissions ?? [], 'publish', choice.topic);
  const publish = (events: number) => {
    trial.publish(events).then(
      () => setError(undefined),
      (failure: unknown) => {
        setGoingOn(false);
        setError(failure);
      },
    );
  };
  useEffect(() => {
    if (!isGoingOn) return undefined;
    const timer = setInterval(() => publish(1), EVERY_MS);
    return () => clearInterval(timer);
  }, [isGoingOn]);
  return (
    <Panel title="Publisher">
      {mayPublish ? (
        <div class="stack">
          <div class="row">
            <button type="button" class="primary" onClick={() => publish(1)}>
              Publish one event
            </button>
            <button type="button" onClick={() => publish(BURST_MAX)}>
              Publish {BURST_MAX}
            </button>
            <label class="check">
              <input
                type="checkbox"
                checked={isGoingOn}
                onChange={(event) => setGoingOn(event.currentTarget.checked)}
              />
              Keep publishing
            </label>
          </div>
          <p class="quiet">
            Events go to <code>{choice.topic}</code> over a connection of their own, so the switch
            does not stop them.
          </p>
          {error !== undefined && <Failed error={error} />}
        </div>
      ) : (
        <p class="quiet">
          The token may not publish to <code>{choice.topic}</code>. The subscriber shows what others
          publish.
        </p>
      )}
    </Panel>
  );
}
