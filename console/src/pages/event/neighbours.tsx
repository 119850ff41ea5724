import { useLayoutEffect } from 'preact/hooks';
import { readNeighbours } from '../../events/history.ts';
import { go, href } from '../../ui/route.ts';
import { addShortcuts } from '../../ui/shortcuts.ts';
import { useResource } from '../../ui/use-resource.ts';

/** How often it is looked whether the topic has a newer event by now. */
const EVERY_MS = 5000;

/** Leads to the events of the topic before and after this one. */
export function Neighbours({ topic, cursor }: { topic: string; cursor: string }) {
  const { data } = useResource(cursor, (signal) => readNeighbours(topic, cursor, signal), {
    everyMs: EVERY_MS,
  });
  const [before, after] = [data?.before?.cursor, data?.after?.cursor];
  // The keys work as soon as the links are there.
  useLayoutEffect(
    () =>
      addShortcuts([
        {
          keys: '[',
          label: 'Previous event of the topic',
          run: () => before && go('event', { cursor: before }),
        },
        {
          keys: ']',
          label: 'Next event of the topic',
          run: () => after && go('event', { cursor: after }),
        },
      ]),
    [before, after],
  );
  return (
    <nav class="row spread event-neighbours" aria-label={`Events of ${topic}`}>
      <Step cursor={before} none={data ? 'first of its topic' : ''} label="← Previous" />
      <Step cursor={after} none={data ? 'newest of its topic' : ''} label="Next →" />
    </nav>
  );
}

function Step({
  cursor,
  none,
  label,
}: {
  cursor: string | undefined;
  none: string;
  label: string;
}) {
  if (!cursor) return <span class="quiet">{none}</span>;
  return (
    <a class="button" href={href('event', { cursor })}>
      {label}
    </a>
  );
}
