import { useEffect, useState } from 'preact/hooks';
import { serviceUrl } from '../../api/configuration.ts';
import { ApiError, call } from '../../api/request.ts';
import type { Rebuild } from '../../api/types.ts';
import { Badge } from '../../ui/badge.tsx';
import { Confirm } from '../../ui/confirm.tsx';
import { count, duration } from '../../ui/format.ts';
import { Panel } from '../../ui/panel.tsx';
import { Failed, Loading, Notice } from '../../ui/states.tsx';
import { Time } from '../../ui/time.tsx';
import { useResource } from '../../ui/use-resource.ts';
import { RebuildProgress } from './rebuild-progress.tsx';

const PATH = '/v1/admin/rebuild';
const RUNNING_MS = 1000;
const RESTING_MS = 10_000;

type Asked = 'begin' | 'cancel' | undefined;

/** The rebuild of the replay service whose address the console has. */
export function RebuildPanel() {
  const [asked, setAsked] = useState<Asked>();
  const [everyMs, setEveryMs] = useState(RESTING_MS);
  const { data, error, reload } = useResource('rebuild', readRebuild, { everyMs, keep: true });
  const running = data?.state === 'running';
  useEffect(() => setEveryMs(running ? RUNNING_MS : RESTING_MS), [running]);
  return (
    <Panel
      title="Rebuild"
      actions={
        running ? (
          <button type="button" class="danger" onClick={() => setAsked('cancel')}>
            Cancel the rebuild
          </button>
        ) : (
          <button type="button" onClick={() => setAsked('begin')} disabled={data === undefined}>
            Rebuild the archive …
          </button>
        )
      }
    >
      <div class="stack">
        <p>
          A rebuild makes a new archive beside the present one and then takes its place: from the
          stream what that still holds, from the present archive what has left it. The service
          answers meanwhile. It concerns the one service at <code>{serviceUrl('replay')}</code>.
        </p>
        {error !== undefined && <Failed error={error} retry={reload} />}
        {data === undefined && error === undefined && <Loading lines={1} />}
        {data && <Outcome rebuild={data} />}
        {data === null && <p class="quiet">There was none since the start of this service.</p>}
      </div>
      <Question asked={asked} close={() => setAsked(undefined)} done={reload} />
    </Panel>
  );
}

/** @returns `null` where there was none */
async function readRebuild(signal: AbortSignal): Promise<Rebuild | null> {
  try {
    return await call<Rebuild>('GET', PATH, { service: 'replay', signal });
  } catch (error) {
    if (error instanceof ApiError && error.code === 'not_found') return null;
    throw error;
  }
}

function Outcome({ rebuild }: { rebuild: Rebuild }) {
  const { state, startedAt, endedAt, unreadable, reason } = rebuild;
  if (state === 'running') return <RebuildProgress of="this service" rebuild={rebuild} />;
  const kind = state === 'complete' ? 'good' : state === 'failed' ? 'bad' : 'plain';
  const tookMs = endedAt ? new Date(endedAt).getTime() - new Date(startedAt).getTime() : 0;
  return (
    <div class="stack tight">
      <p class="row">
        <Badge kind={kind}>{state}</Badge>
        <span>
          The last one began <Time of={startedAt} />
          {endedAt && ` and took ${duration(tookMs)}`}.
        </span>
        {reason && <span class="bad-text">{reason}</span>}
      </p>
      {unreadable > 0 && (
        <Notice kind="warning">
          {count(unreadable)} events of the earlier archive could not be read, and are missing until
          another archive gives them.
        </Notice>
      )}
    </div>
  );
}

interface QuestionProps {
  readonly asked: Asked;
  readonly close: () => void;
  readonly done: () => void;
}

function Question({ asked, close, done }: QuestionProps) {
  if (asked === 'begin') {
    const run = () => call('POST', PATH, { service: 'replay', body: {} }).then(done);
    return (
      <Confirm title="Rebuild the archive?" action="Rebuild" run={run} close={close}>
        <p>
          The disk needs room for a second archive meanwhile. Answers stay the same, then and
          afterwards. Events that cannot be read in the present archive, and that the stream no
          longer holds, are missing in the new one.
        </p>
      </Confirm>
    );
  }
  if (asked === 'cancel') {
    const run = () => call('DELETE', PATH, { service: 'replay' }).then(done);
    return (
      <Confirm title="Cancel the rebuild?" action="Cancel the rebuild" run={run} close={close}>
        <p>The new archive is removed, and the present one stays as it is.</p>
      </Confirm>
    );
  }
  return null;
}
