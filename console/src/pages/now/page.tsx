import { feedState, stats } from '../../api/stats-feed.ts';
import type { GatewayStats, IngestStats, ReplayStats } from '../../api/types.ts';
import { FeedNotice } from '../../ui/feed-notice.tsx';
import { Loading } from '../../ui/states.tsx';
import { Charts } from './charts.tsx';
import { GatewayTable, IngestTable, ReplayTable } from './services.tsx';

/** What happens now: all gateways together, and each service. */
export default function NowPage() {
  const current = stats.value;
  const isStale = feedState.value.state === 'cut';
  return (
    <>
      <FeedNotice />
      {current ? (
        <div class={isStale ? 'stack stale' : 'stack'}>
          <Charts />
          <GatewayTable rows={current.services.filter(isGateway)} />
          <IngestTable rows={current.services.filter(isIngest)} />
          <ReplayTable rows={current.services.filter(isReplay)} />
        </div>
      ) : (
        <Loading lines={8} label="Waiting for the first figures" />
      )}
    </>
  );
}

function isGateway(one: { service: string }): one is GatewayStats {
  return one.service === 'gateway';
}

function isIngest(one: { service: string }): one is IngestStats {
  return one.service === 'ingest';
}

function isReplay(one: { service: string }): one is ReplayStats {
  return one.service === 'replay';
}
