import { useState } from 'preact/hooks';
import { me } from '../../api/session.ts';
import { isPattern, permits } from '../../events/grants.ts';
import { Badge } from '../../ui/badge.tsx';
import type { Rule, RuleActions } from './types.ts';

interface RulesProps {
  /** The own topics, whose events are always items; absent where they are not known. */
  readonly topics?: readonly string[];
  readonly follows: readonly Rule[];
  readonly mutes: readonly Rule[];
  readonly actions?: RuleActions;
}

/** What makes events items of the inbox: own topics, follows, and mutes. */
export function Rules({ topics, follows, mutes, actions }: RulesProps) {
  return (
    <div class="stack inbox-rules">
      {topics && (
        <div>
          <h3>Own topics</h3>
          <List rules={topics.map((pattern) => ({ pattern }))} none="none" />
        </div>
      )}
      <div>
        <h3>Follows</h3>
        <List
          rules={follows}
          none="follows nothing"
          {...(actions && { end: { text: 'Unfollow', run: actions.unfollow } })}
        />
      </div>
      <div>
        <h3>Mutes</h3>
        <List
          rules={mutes}
          none="mutes nothing"
          {...(actions && { end: { text: 'Unmute', run: actions.unmute } })}
        />
      </div>
      {actions && <RuleForm actions={actions} />}
    </div>
  );
}

interface ListProps {
  readonly rules: readonly Rule[];
  readonly none: string;
  /** Ends a rule. */
  readonly end?: { readonly text: string; readonly run: (rule: Rule) => void };
}

function List({ rules, none, end }: ListProps) {
  if (rules.length === 0) return <p class="quiet">{none}</p>;
  return (
    <ul>
      {rules.map((rule) => (
        <li key={`${rule.pattern} ${rule.types}`} class="row spread">
          <span>
            <code>{rule.pattern}</code>
            {rule.types && <span class="quiet"> only {rule.types.join(', ')}</span>}
            {rule.permitted === false && (
              <Badge
                kind="warning"
                title="The token no longer has subscribe: for it, so its items are not shown."
              >
                not permitted
              </Badge>
            )}
          </span>
          {end && (
            <button
              type="button"
              class="bare"
              aria-label={`${end.text} ${rule.pattern}`}
              onClick={() => end.run(rule)}
            >
              {end.text}
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}

function RuleForm({ actions }: { actions: RuleActions }) {
  const [pattern, setPattern] = useState('');
  const isPatternLike = isPattern(pattern);
  const mayFollow = isPatternLike && permits(me.value?.permissions ?? [], 'subscribe', pattern);
  const run = (change: (pattern: string) => void) => {
    change(pattern);
    setPattern('');
  };
  return (
    <form
      class="inbox-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (mayFollow) run(actions.follow);
      }}
    >
      <label class="field">
        <span>Pattern</span>
        <input
          class="mono"
          value={pattern}
          placeholder="orders.*"
          spellcheck={false}
          autocomplete="off"
          onInput={(event) => setPattern(event.currentTarget.value.trim())}
        />
      </label>
      <div class="row">
        <button type="submit" disabled={!mayFollow}>
          Follow
        </button>
        <button type="button" disabled={!isPatternLike} onClick={() => run(actions.mute)}>
          Mute
        </button>
        {pattern !== '' && !isPatternLike && (
          <span class="bad-text" role="alert">
            This is no pattern.
          </span>
        )}
        {isPatternLike && !mayFollow && (
          <span class="bad-text" role="alert">
            The token may not subscribe to it.
          </span>
        )}
      </div>
    </form>
  );
}
