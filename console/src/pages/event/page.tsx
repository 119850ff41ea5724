import { useState } from 'preact/hooks';
import { sequenceOf } from '../../events/cursors.ts';
import { readEvent } from '../../events/history.ts';
import { go, route } from '../../ui/route.ts';
import { Empty, Failed, Loading } from '../../ui/states.tsx';
import { useResource } from '../../ui/use-resource.ts';
import { Details } from './details.tsx';
import '../../events/events.css';
import './event.css';

/** One event by its cursor, at `#/event/<cursor>`: what it has, its way through the system, and its neighbours. */
export default function EventPage() {
  const cursor = route.value.rest || route.value.query.get('cursor') || '';
  return (
    <div class="stack">
      <CursorForm key={cursor} cursor={cursor} />
      {cursor === '' ? (
        <Empty title="No event is chosen.">
          Each event in a list leads here. A cursor, such as one that an append answered, does too.
        </Empty>
      ) : (
        <OneEvent cursor={cursor} />
      )}
    </div>
  );
}

function OneEvent({ cursor }: { cursor: string }) {
  const { data, error, reload } = useResource(cursor, (signal) => readEvent(cursor, signal));
  if (error !== undefined) return <Failed error={error} retry={reload} />;
  return data ? <Details key={data.cursor} stored={data} /> : <Loading lines={8} />;
}

function CursorForm({ cursor }: { cursor: string }) {
  const [text, setText] = useState(cursor);
  const isWrong = text !== '' && sequenceOf(text) === undefined;
  return (
    <form
      class="row event-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (text && !isWrong) go('event', { cursor: text });
      }}
    >
      <label for="cursor">Cursor</label>
      <input
        id="cursor"
        class="mono"
        value={text}
        placeholder="mwykp5cq-11208"
        spellcheck={false}
        autocomplete="off"
        aria-invalid={isWrong}
        onInput={(event) => setText(event.currentTarget.value.trim())}
      />
      <button type="submit" disabled={isWrong || text === ''}>
        Show
      </button>
      {isWrong && (
        <span class="bad-text" role="alert">
          A cursor is the name of a log, a hyphen and a number.
        </span>
      )}
    </form>
  );
}
