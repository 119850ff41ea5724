import { useState } from 'preact/hooks';
import { mayAdmin, mayAny, me } from '../../api/session.ts';
import { replaceQuery, route } from '../../ui/route.ts';
import { OtherInbox } from './other-inbox.tsx';
import { OwnInbox } from './own-inbox.tsx';
import { STATES, type StateFilter } from './types.ts';
import '../../events/events.css';
import './inbox.css';

/** The inbox of the token's user, or, with `admin`, that of another user to look at. */
export default function InboxPage() {
  const { query } = route.value;
  const own = me.value?.sub ?? '';
  const sub = query.get('sub') || (mayAny('inbox') ? own : '');
  const state = STATES.find(({ value }) => value === query.get('state'))?.value ?? '';
  const isOwn = sub === own && mayAny('inbox');
  const change = (more: { sub?: string; state?: StateFilter }) =>
    replaceQuery({ sub: isOwn ? '' : sub, state, ...more });
  return (
    <div class="stack">
      <div class="row spread">
        {mayAdmin() && <UserForm key={sub} sub={sub} show={(next) => change({ sub: next })} />}
        <StateSelect state={state} change={(next) => change({ state: next })} />
      </div>
      {isOwn && <OwnInbox key={state} state={state} />}
      {!isOwn && sub !== '' && <OtherInbox key={`${sub} ${state}`} sub={sub} state={state} />}
    </div>
  );
}

function UserForm({ sub, show }: { sub: string; show: (sub: string) => void }) {
  const [text, setText] = useState(sub);
  return (
    <form
      class="row"
      onSubmit={(event) => {
        event.preventDefault();
        show(text.trim());
      }}
    >
      <label for="inbox-user">User</label>
      <input
        id="inbox-user"
        value={text}
        placeholder="alice"
        spellcheck={false}
        autocomplete="off"
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button type="submit" disabled={text.trim() === '' || text.trim() === sub}>
        Show
      </button>
    </form>
  );
}

function StateSelect({
  state,
  change,
}: {
  state: StateFilter;
  change: (state: StateFilter) => void;
}) {
  return (
    <label class="row">
      Items
      <select value={state} onChange={(event) => change(event.currentTarget.value as StateFilter)}>
        {STATES.map(({ value, label }) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}
