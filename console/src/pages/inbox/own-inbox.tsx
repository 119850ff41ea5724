import type { InboxView } from '@tidemark/client/inbox';
import { useEffect, useState } from 'preact/hooks';
import { StatusBadge } from '../../events/status-badge.tsx';
import { Panel } from '../../ui/panel.tsx';
import { Failed, Loading } from '../../ui/states.tsx';
import { CountsLine } from './counts-line.tsx';
import { Items } from './items.tsx';
import { LiveInbox } from './live-inbox.ts';
import { Rules } from './rules.tsx';
import type { ShownItem, StateFilter } from './types.ts';

/** The inbox of the token's user, kept up to date, with marks and follows. */
export function OwnInbox({ state }: { state: StateFilter }) {
  const [inbox, setInbox] = useState<LiveInbox>();
  const [round, setRound] = useState(0);
  useEffect(() => {
    const opened = new LiveInbox(state);
    setInbox(opened);
    return () => opened.close();
  }, [state, round]);
  const view = inbox?.view.value;
  const failure = inbox?.failure.value;
  const ended = view?.error ?? inbox?.ended.value;
  if (!inbox || !view) return null;
  if (ended !== undefined) return <Failed error={ended} retry={() => setRound(round + 1)} />;
  if (!view.isReady) return <Loading lines={6} />;
  return (
    <>
      {failure !== undefined && <Failed error={failure} />}
      <div class="inbox-columns">
        <ItemsPanel inbox={inbox} view={view} />
        <Panel title="What comes in">
          <Rules follows={view.follows} mutes={view.mutes} actions={inbox.ruleActions} />
        </Panel>
      </div>
    </>
  );
}

function ItemsPanel({ inbox, view }: { inbox: LiveInbox; view: InboxView }) {
  const actions = (
    <>
      <StatusBadge status={inbox.status.value} />
      <CountsLine counts={view.counts} />
      <button type="button" disabled={view.counts.unseen === 0} onClick={() => inbox.seenAll()}>
        All seen
      </button>
      <button type="button" disabled={view.counts.unread === 0} onClick={() => inbox.readAll()}>
        All read
      </button>
    </>
  );
  return (
    <Panel title="Items" actions={actions} flush>
      <Items items={view.items as readonly ShownItem[]} actions={inbox.itemActions} />
      {view.hasOlder && (
        <footer class="events-foot">
          <button type="button" onClick={() => inbox.older()}>
            Load older items
          </button>
        </footer>
      )}
    </Panel>
  );
}
