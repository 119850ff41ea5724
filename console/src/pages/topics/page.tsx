import { useEffect, useState } from 'preact/hooks';
import { mayAny, me } from '../../api/session.ts';
import { useFeed } from '../../events/use-feed.ts';
import { replaceQuery, route } from '../../ui/route.ts';
import { Empty } from '../../ui/states.tsx';
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
  const change = (more: Partial<TopicsQuery>) => replaceQuery({ tree, ...choice, ...more });
  const [typed, setTyped] = useState(0);
  // The pattern may have been chosen in the tree: the field shows it then.
  useEffect(() => setTyped((before) => before + 1), [choice.topics]);
  if (!mayAny('history')) {
    return (
      <Empty title="This token may not read the history of any topic.">
        It has no <code>history:</code> among its scopes.
      </Empty>
    );
  }
  return (
    <div class="topics">
      <TreePanel
        pattern={tree}
        filter={(pattern) => change({ tree: pattern })}
        selected={choice.topics}
        select={(topics) => change({ topics })}
      />
      <div class="stack topics-events">
        <EventsPanel key={typed} choice={choice} feed={feed} change={change} />
        {mayAny('publish') && <PublishPanel topics={choice.topics} feed={feed} />}
      </div>
    </div>
  );
}
