import { useState } from 'preact/hooks';
import { isPattern } from '../../events/grants.ts';
import { count } from '../../ui/format.ts';
import { Panel } from '../../ui/panel.tsx';
import { Empty, Failed, Loading, Notice } from '../../ui/states.tsx';
import { pathsAbove } from './topic-tree.ts';
import { TOPICS_MAX } from './topics-reader.ts';
import { Tree } from './tree.tsx';
import { type TopicsState, useTopics } from './use-topics.ts';

interface TreePanelProps {
  /** Which topics the tree has. */
  readonly pattern: string;
  readonly filter: (pattern: string) => void;
  readonly selected: string;
  readonly select: (pattern: string) => void;
}

export function TreePanel({ pattern, filter, selected, select }: TreePanelProps) {
  const topics = useTopics(pattern);
  const { now, found } = topics;
  const actions = now ? (
    <span class="quiet">
      {count(found)} topics, {count(now.root.events)} events
    </span>
  ) : undefined;
  return (
    <Panel title="Topics" actions={actions} flush>
      <PatternField pattern={pattern} filter={filter} />
      {topics.isCut && (
        <Notice kind="warning">
          There are more than {count(TOPICS_MAX)} topics. A pattern shows a part of them.
        </Notice>
      )}
      <Content topics={topics} selected={selected} select={select} />
    </Panel>
  );
}

function PatternField({ pattern, filter }: Pick<TreePanelProps, 'pattern' | 'filter'>) {
  const [text, setText] = useState(pattern === '>' ? '' : pattern);
  const isWrong = text !== '' && !isPattern(text);
  return (
    <form
      class="topics-filter"
      onSubmit={(event) => {
        event.preventDefault();
        if (!isWrong) filter(text || '>');
      }}
    >
      <input
        type="search"
        aria-label="Pattern of the tree"
        aria-invalid={isWrong}
        aria-describedby={isWrong ? 'tree-fault' : undefined}
        class="mono"
        placeholder="Pattern, such as orders.>"
        spellcheck={false}
        autocomplete="off"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button type="submit" disabled={isWrong}>
        Filter
      </button>
      {isWrong && (
        <p id="tree-fault" class="bad-text" role="alert">
          A pattern has tokens of A-Z a-z 0-9 _ - with dots between; * is any token, &gt; at the end
          any rest.
        </p>
      )}
    </form>
  );
}

function Content({
  topics,
  selected,
  select,
}: { topics: TopicsState } & Pick<TreePanelProps, 'selected' | 'select'>) {
  const [open, setOpen] = useState<ReadonlySet<string>>(() => new Set(pathsAbove(selected)));
  const { now, before, error, found, reload } = topics;
  if (!now && error) return <Failed error={error} retry={reload} />;
  if (!now) {
    return (
      <Loading lines={8} label={found > 0 ? `Loading, ${count(found)} topics so far` : 'Loading'} />
    );
  }
  if (now.root.topics === 0) {
    return <Empty title="No topics">No event has been stored on a topic that matches.</Empty>;
  }
  const toggle = (path: string) => {
    const next = new Set(open);
    if (!next.delete(path)) next.add(path);
    setOpen(next);
  };
  return (
    <>
      {error !== undefined && <Failed error={error} retry={reload} />}
      <Tree {...{ now, before, open, toggle, selected, select }} />
    </>
  );
}
