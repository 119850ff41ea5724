import { useState } from 'preact/hooks';
import { isTopic } from '../../events/grants.ts';
import type { TrialChoice } from './trial.ts';

interface SetupProps {
  readonly choice: TrialChoice;
  readonly change: (choice: TrialChoice) => void;
}

/** The topic of the trial. Another one begins a new trial. */
export function Setup({ choice, change }: SetupProps) {
  const [topic, setTopic] = useState(choice.topic);
  const isWrong = topic !== '' && !isTopic(topic);
  return (
    <form
      class="row try-setup"
      onSubmit={(event) => {
        event.preventDefault();
        if (isTopic(topic)) change({ ...choice, topic });
      }}
    >
      <label for="try-topic">Topic</label>
      <input
        id="try-topic"
        class="mono"
        value={topic}
        spellcheck={false}
        autocomplete="off"
        aria-invalid={isWrong}
        onInput={(event) => setTopic(event.currentTarget.value.trim())}
      />
      <button type="submit" disabled={!isTopic(topic) || topic === choice.topic}>
        Begin anew
      </button>
      <label class="check">
        <input
          type="checkbox"
          checked={choice.latestOnly}
          onChange={(event) => change({ ...choice, latestOnly: event.currentTarget.checked })}
        />
        Only the newest event after an absence
      </label>
      {isWrong && (
        <span class="bad-text" role="alert">
          A topic has tokens of A-Z a-z 0-9 _ - with dots between.
        </span>
      )}
    </form>
  );
}
