import { useEffect, useState } from 'preact/hooks';
import { me } from '../api/session.ts';
import { openClient } from './client.ts';
import { EventFeed, type FeedChoice, mayFollow } from './event-feed.ts';

/** The feed of a choice, as long as the component shows it; `undefined` until it has begun. */
export function useFeed(choice: FeedChoice): EventFeed | undefined {
  const [feed, setFeed] = useState<EventFeed>();
  const key = JSON.stringify(choice);
  useEffect(() => {
    const isLive = mayFollow(choice, me.value?.permissions ?? []);
    const opened = new EventFeed(choice, isLive ? openClient() : undefined);
    setFeed(opened);
    return () => opened.stop();
  }, [key]);
  return feed;
}
