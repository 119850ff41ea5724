import type { Tidemark } from '@tidemark/client';
import {
  NotificationBell,
  TidemarkProvider,
  useEvents,
  useInbox,
  useSnapshot,
  useStatus,
  useTidemark,
} from '@tidemark/client/react';
import * as React from 'react';
import { type ReactElement, type ReactNode, useEffect } from 'react';
import type { Inbox } from '../../../libs/client/src/inbox/types.ts';
import type { Kept, Settings, What } from './kept.ts';

export interface AppProps {
  readonly what: What;
  readonly settings: Settings;
  readonly kept: Kept;
  readonly openInbox: () => Inbox;
  /** Hears of the client that the hooks use. */
  readonly onClient?: (client: Tidemark) => void;
  /** Takes the place of a client where there is no URL. */
  readonly stub?: Tidemark;
}

/** Everything below one provider, so that parts come and go while the client stays. */
export function App({
  what,
  settings,
  kept,
  openInbox,
  onClient = () => {},
  stub,
}: AppProps): ReactElement {
  const { url, token } = settings;
  const source = stub && !url ? { client: stub } : { options: { url, token: () => token } };
  return (
    <TidemarkProvider {...source} openInbox={() => openInbox()}>
      <Client onClient={onClient} />
      {(what === 'feed' || what === 'hidden') && (
        <Activity mode={what === 'hidden' ? 'hidden' : 'visible'}>
          <Feed settings={settings} kept={kept} />
        </Activity>
      )}
      {what === 'map' && <Topics settings={settings} kept={kept} />}
      {(what === 'bell' || what === 'bells') && (
        <NotificationBell classNames={{ button: 'round' }} onSelect={keepSelected(kept)} />
      )}
      {what === 'bells' && <Unread />}
    </TidemarkProvider>
  );
}

type ActivityProps = { readonly mode: 'visible' | 'hidden'; readonly children: ReactNode };

/** React 18 has none. */
const Activity: (props: ActivityProps) => ReactNode =
  (React as Partial<typeof React>).Activity ?? (({ children }) => children);

function Client({ onClient }: Required<Pick<AppProps, 'onClient'>>): null {
  const client = useTidemark();
  useEffect(() => onClient(client), [client, onClient]);
  return null;
}

function keepSelected(kept: Kept) {
  return ({ cursor }: { cursor: string }) => void kept.calls.push(`select ${cursor}`);
}

function Feed({ settings, kept }: Pick<AppProps, 'settings' | 'kept'>): ReactElement {
  const { topics, failAt, url: _, token: __, ...options } = settings;
  const { state } = useStatus();
  // New arrays and functions at each render.
  const list = useEvents([...topics], { ...options }, ({ id }) => {
    if (id === failAt) throw new Error(`no ${id}`);
    kept.heard.push(id);
  });
  useEffect(() => {
    kept.commits++;
    kept.shown = list.events.map(({ id }) => id);
    kept.isLive = list.isLive;
    kept.gaps = list.gaps.length;
    kept.error = list.error?.message;
  }, [list, kept]);
  useEffect(() => {
    kept.states.push(state);
  }, [state, kept]);
  return (
    <ol>
      {list.events.map(({ source, id }) => (
        <li key={`${source} ${id}`}>{id}</li>
      ))}
    </ol>
  );
}

const maps = new Set<unknown>();

function Topics({ settings, kept }: Pick<AppProps, 'settings' | 'kept'>): ReactElement {
  const { topics, isReady, error } = useSnapshot([...settings.topics], {
    tombstone: ({ data }) => (data as { gone?: boolean })?.gone === true,
  });
  useEffect(() => {
    // A map that changed is another one.
    if (maps.has(topics)) return;
    maps.add(topics);
    kept.commits++;
    kept.shown = [...topics].map(([topic, { id }]) => `${topic} ${id}`).sort();
    kept.isLive = isReady;
    kept.error = error?.message;
  }, [topics, isReady, error, kept]);
  return <p>{topics.size}</p>;
}

function Unread(): ReactElement {
  const { view } = useInbox({});
  const { state } = useStatus();
  return (
    <p id="unread" data-state={state}>
      {view.counts.unread}
    </p>
  );
}
