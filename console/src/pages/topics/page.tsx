import { mayAny, me } from '../../api/session.ts';
import { useFeed } from '../../events/use-feed.ts';
import { replaceQuery, route } from '../../ui/route.ts';
import { Notice } from '../../ui/states.tsx';
import { readChoice, type TopicsQuery } from './choice.ts';
import { EventsPanel } from './events-panel.tsx';
import { PublishPanel } from './publish-panel.tsx';
import { TreePanel } from './tree-panel.tsx';
import '../../events/events.css';
import './topics.css';

/** The topics as a tree, the events of those that are chosen, and a form to publish one. */
export default function TopicsPage() {
  const permissions = me.value?.permissions ?? [];
  const { tree = '>', ...choice } = readChoice(route.value.query, permissions);
  const feed = useFeed(choice);
  const mayLook = mayAny('history');
  const change = (more: Partial<TopicsQuery>) => replaceQuery({ tree, ...choice, ...more });
  return (
    <div class={mayLook ? 'topics' : 'stack'}>
      {mayLook ? (
        <TreePanel
          pattern={tree}
          filter={(pattern) => change({ tree: pattern })}
          selected={choice.topics}
          select={(topics) => change({ topics })}
        />
      ) : (
        <Notice>
          The token has no <code>history:</code> among its scopes: there is no list of topics, and
          only what is stored from now on.
        </Notice>
      )}
      <div class="stack topics-events">
        <EventsPanel key={choice.topics} choice={choice} feed={feed} change={change} />
        {mayAny('publish') && <PublishPanel topics={choice.topics} feed={feed} />}
      </div>
    </div>
  );
}
