import { call } from '../../api/request.ts';
import type { Stream, StreamList } from '../../api/types.ts';
import { timeOfDay } from '../../ui/format.ts';
import { Icon } from '../../ui/icon.tsx';
import { Panel } from '../../ui/panel.tsx';
import { Empty, Failed, Loading, Notice } from '../../ui/states.tsx';
import { useResource } from '../../ui/use-resource.ts';
import { BucketPanel } from './bucket-panel.tsx';
import { ServerPanel } from './server-panel.tsx';
import { StreamPanel } from './stream-panel.tsx';

const REFRESH_MS = 5000;

/** The streams in NATS: what they hold, how full they are, and where their replicas are. */
export default function StreamsPage() {
  const { data, error, loadedAt, reload } = useResource(
    'streams',
    (signal) => call<StreamList>('GET', '/v1/admin/streams', { signal }),
    { everyMs: REFRESH_MS, keep: true },
  );
  if (!data) {
    if (error !== undefined) return <Failed error={error} retry={reload} />;
    return <Loading lines={8} />;
  }
  return (
    <>
      {error !== undefined && loadedAt !== undefined && (
        <Notice kind="warning">
          {error instanceof Error ? error.message : String(error)} This is from{' '}
          {timeOfDay(loadedAt)}. Trying again.
        </Notice>
      )}
      <div class="row spread">
        <p class="quiet">Renewed every 5 s</p>
        <button type="button" onClick={reload}>
          <Icon name="refresh" /> Refresh
        </button>
      </div>
      {data.unanswered.length > 0 && (
        <Notice kind="bad">
          Nobody answers for {data.unanswered.join(', ')}. They have no leader, and store nothing,
          or this gateway does not reach NATS.
        </Notice>
      )}
      <ServerPanel streams={data.items} />
      {data.items.length === 0 && data.unanswered.length === 0 && (
        <Panel title="Streams">
          <Empty title="There is no stream.">The first service that starts makes it.</Empty>
        </Panel>
      )}
      {data.items.filter(hasEvents).map((stream) => (
        <StreamPanel key={stream.name} stream={stream} />
      ))}
      <BucketPanel streams={data.items.filter((stream) => !hasEvents(stream))} />
    </>
  );
}

/** Only the stream of the events has cursors. */
function hasEvents({ firstCursor }: Stream): boolean {
  return firstCursor !== undefined;
}
