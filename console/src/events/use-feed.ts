import { useEffect, useState } from 'preact/hooks';
import { me } from '../api/session.ts';
import { openClient } from './client.ts';
import { EventFeed, type FeedChoice, mayFollow, mayLookBack } from './event-feed.ts';

/** The feed of a choice, as long as the component shows it; `undefined` until it has begun. */
export function useFeed(choice: FeedChoice): EventFeed | undefined {
  const [feed, setFeed] = useState<EventFeed>();
  const key = JSON.stringify(choice);
  useEffect(() => {
    const permissions = me.value?.permissions ?? [];
    const isLive = mayFollow(choice, permissions);
    const isLiveOnly = isLive && !mayLookBack(choice, permissions);
    const opened = new EventFeed(choice, isLive ? openClient() : undefined, isLiveOnly);
    setFeed(opened);
    return () => opened.stop();
  }, [key]);
  return feed;
}
