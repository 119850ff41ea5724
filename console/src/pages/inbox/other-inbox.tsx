import { useState } from 'preact/hooks';
import { call } from '../../api/request.ts';
import { Icon } from '../../ui/icon.tsx';
import { Panel } from '../../ui/panel.tsx';
import { Failed, Loading, Notice } from '../../ui/states.tsx';
import { useResource } from '../../ui/use-resource.ts';
import { CountsLine } from './counts-line.tsx';
import { Items } from './items.tsx';
import { Rules } from './rules.tsx';
import { type Counts, PAGE, type Rule, type ShownItem, type StateFilter } from './types.ts';

interface ItemsPage extends Counts {
  readonly items: readonly ShownItem[];
  readonly next: string | null;
}

interface FollowsAnswer {
  readonly topics: readonly string[];
  readonly follows: readonly Rule[];
  readonly mutes: readonly Rule[];
}

/** The inbox of another user. It is read when it is asked for and not again by itself: each reading is in the audit log. */
export function OtherInbox({ sub, state }: { sub: string; state: StateFilter }) {
  const read = (path: string, signal: AbortSignal, before?: string) =>
    call('GET', path, {
      service: 'replay',
      signal,
      query: path.endsWith('/follows') ? { sub } : { sub, state, limit: PAGE, before },
    });
  const { data, error, loading, loadedAt, reload } = useResource(sub, async (signal) => {
    const [page, rules] = await Promise.all([
      read('/v1/inbox', signal) as Promise<ItemsPage>,
      read('/v1/inbox/follows', signal) as Promise<FollowsAnswer>,
    ]);
    return { page, rules };
  });
  if (!data)
    return error === undefined ? <Loading lines={6} /> : <Failed error={error} retry={reload} />;
  const { page, rules } = data;
  const actions = (
    <>
      <CountsLine counts={page} />
      <button type="button" onClick={reload} disabled={loading}>
        <Icon name="refresh" />
        Read again
      </button>
    </>
  );
  return (
    <>
      <Notice>
        This is the inbox of {sub}. You can only look, and each look is in the audit log of the
        replay service.
      </Notice>
      {error !== undefined && <Failed error={error} retry={reload} />}
      <div class="inbox-columns">
        <Panel title={`Items of ${sub}`} actions={actions} flush>
          <Pages
            key={loadedAt}
            first={page}
            readOlder={(before) =>
              read('/v1/inbox', new AbortController().signal, before) as Promise<ItemsPage>
            }
          />
        </Panel>
        <Panel title="What comes in">
          <Rules topics={rules.topics} follows={rules.follows} mutes={rules.mutes} />
        </Panel>
      </div>
    </>
  );
}

interface PagesProps {
  readonly first: ItemsPage;
  readonly readOlder: (before: string) => Promise<ItemsPage>;
}

/** The first page, and those that were loaded after it. */
function Pages({ first, readOlder }: PagesProps) {
  const [more, setMore] = useState<readonly ItemsPage[]>([]);
  const [error, setError] = useState<unknown>();
  const { next } = more.at(-1) ?? first;
  const older = () => {
    if (next === null) return;
    readOlder(next).then((page) => {
      setMore([...more, page]);
      setError(undefined);
    }, setError);
  };
  return (
    <>
      <Items items={[first, ...more].flatMap(({ items }) => items)} />
      {error !== undefined && <Failed error={error} retry={older} />}
      {next !== null && (
        <footer class="events-foot">
          <button type="button" onClick={older}>
            Load older items
          </button>
        </footer>
      )}
    </>
  );
}
