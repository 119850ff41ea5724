import { useState } from 'preact/hooks';
import type { FeedChoice } from '../../events/event-feed.ts';
import { isPattern } from '../../events/grants.ts';
import { type TopicsQuery, toLocal, toTime } from './choice.ts';

interface EventsFormProps {
  readonly choice: FeedChoice;
  readonly change: (more: Partial<TopicsQuery>) => void;
  /** Words that the shown events have. */
  readonly text: string;
  readonly setText: (text: string) => void;
}

/** Which events are asked for, and which of those that were loaded are shown. */
export function EventsForm({ choice, change, text, setText }: EventsFormProps) {
  const [topics, setTopics] = useState(choice.topics);
  const { type = '', source = '', from, to } = choice;
  const isWrong = !topics.split(',').every((one) => isPattern(one.trim()));
  return (
    <form
      class="events-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (!isWrong) change(read(event.currentTarget));
      }}
    >
      <TextField
        label="Topics"
        name="topics"
        value={topics}
        isWrong={isWrong}
        onInput={setTopics}
      />
      <label class="field">
        <span>Words in what is loaded</span>
        <input
          type="search"
          value={text}
          autocomplete="off"
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      <details class="events-more" open={Boolean(type || source || from || to)}>
        <summary>Type, source, time</summary>
        <div class="events-more-fields">
          <TextField label="Types" name="type" value={type} placeholder="order.*, invoice.paid" />
          <TextField label="Source" name="source" value={source} placeholder="/shop" />
          <TimeField label="Stored from" name="from" value={toLocal(from)} />
          <TimeField label="Stored before" name="to" value={toLocal(to)} />
        </div>
      </details>
      <button type="submit" disabled={isWrong}>
        Show
      </button>
      {isWrong && (
        <p class="bad-text" role="alert">
          Topics are patterns with commas between them, such as orders.&gt;,user.*.inbox.
        </p>
      )}
    </form>
  );
}

function read(form: HTMLFormElement): Partial<TopicsQuery> {
  const fields = new FormData(form);
  const text = (name: string) => String(fields.get(name) ?? '').trim();
  return {
    topics: text('topics').replaceAll(' ', ''),
    type: text('type'),
    source: text('source'),
    from: toTime(text('from')),
    to: toTime(text('to')),
  };
}

interface FieldProps {
  readonly label: string;
  readonly name: string;
  readonly value: string;
}

interface TextFieldProps extends FieldProps {
  readonly placeholder?: string;
  readonly isWrong?: boolean;
  readonly onInput?: (text: string) => void;
}

function TextField({ label, name, value, placeholder, isWrong = false, onInput }: TextFieldProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <input
        class="mono"
        name={name}
        defaultValue={value}
        placeholder={placeholder}
        spellcheck={false}
        autocomplete="off"
        aria-invalid={isWrong}
        onInput={(event) => onInput?.(event.currentTarget.value)}
      />
    </label>
  );
}

/** In the time zone of the person. */
function TimeField({ label, name, value }: FieldProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <input type="datetime-local" step={1} name={name} defaultValue={value} />
    </label>
  );
}
