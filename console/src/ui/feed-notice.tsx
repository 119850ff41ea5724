import { ApiError } from '../api/request.ts';
import { feedState, stats } from '../api/stats-feed.ts';
import { duration, timeOfDay } from './format.ts';
import { Notice } from './states.tsx';
import { useNow } from './use-now.ts';

/** Says when figures do not come any more, and since when those on the page are old. */
export function FeedNotice() {
  const current = feedState.value;
  const now = useNow();
  if (current.state !== 'cut') return null;
  const { since, error } = current;
  const why = error instanceof ApiError ? error.message : 'The connection was cut.';
  return (
    <Notice kind="warning">
      {stats.value
        ? `${why} These figures are ${duration(Math.max(1000, now - since))} old, from ${timeOfDay(since)}. Trying again.`
        : `${why} Trying again.`}
    </Notice>
  );
}
