import { feedState, history, stats } from '../../api/stats-feed.ts';
import type { ReplayStats } from '../../api/types.ts';
import { FeedNotice } from '../../ui/feed-notice.tsx';
import { Panel } from '../../ui/panel.tsx';
import { Empty, Loading } from '../../ui/states.tsx';
import { ArchivePanel } from './archive-panel.tsx';
import { RebuildPanel } from './rebuild-panel.tsx';

/** What each replay service has of the stream, and the rebuilding of an archive. */
export default function ReplayPage() {
  const replays = stats.value?.services.filter((one) => one.service === 'replay');
  const isStale = feedState.value.state === 'cut';
  return (
    <>
      <FeedNotice />
      {!replays && <Loading lines={6} label="Waiting for the first figures" />}
      {replays?.length === 0 && <NoReplay />}
      <div class={isStale ? 'columns stale' : 'columns'}>
        {replays?.map((one) => (
          <ArchivePanel key={one.instance} replay={one} closingInMs={closingInMs(one)} />
        ))}
      </div>
      <RebuildPanel />
    </>
  );
}

function NoReplay() {
  return (
    <Panel title="Archives">
      <Empty title="No replay service has announced itself.">
        Live delivery goes on without one. Until one runs, clients that were away for longer than
        the stream holds get a gap, and there is no history.
      </Empty>
    </Panel>
  );
}

/** How fast `behind` fell in the last seconds, as the time until it is 0. */
const LOOKED_AT = 15;

function closingInMs({ instance, behind }: ReplayStats): number | undefined {
  const [earlier] = history().slice(-LOOKED_AT);
  const before = earlier?.stats.services.find((one) => one.instance === instance);
  if (behind === 0 || !earlier || before?.service !== 'replay') return undefined;
  const fell = before.behind - behind;
  return fell > 0 ? (behind / fell) * (Date.now() - earlier.at) : undefined;
}
