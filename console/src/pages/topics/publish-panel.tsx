import { useEffect, useLayoutEffect, useMemo, useState } from 'preact/hooks';
import { me } from '../../api/session.ts';
import type { CloudEvent } from '../../api/types.ts';
import type { EventFeed } from '../../events/event-feed.ts';
import { GatewayPublisher, type Published } from '../../events/gateway-publisher.ts';
import { isTopic, permits } from '../../events/grants.ts';
import { newTraceparent } from '../../events/new-trace.ts';
import { newEventId } from '../../events/random.ts';
import { readJson, shapeOf } from '../../events/shape.ts';
import { Panel } from '../../ui/panel.tsx';
import { href } from '../../ui/route.ts';
import { Failed, Notice } from '../../ui/states.tsx';
import { DATA_BYTES_MAX, faultOf, seenTypes } from './new-event.ts';

interface PublishPanelProps {
  readonly topics: string;
  /** Whose events are examples for the form. */
  readonly feed: EventFeed | undefined;
}

type Outcome = { readonly published: Published } | { readonly error: unknown };

/** Publishes one event, over the gateway. */
export function PublishPanel({ topics, feed }: PublishPanelProps) {
  const publisher = useMemo(() => new GatewayPublisher(), []);
  useEffect(() => () => publisher.close(), [publisher]);
  const [topic, setTopic] = useState(isTopic(topics) ? topics : '');
  const [type, setType] = useState('');
  const [data, setData] = useState('');
  const [outcome, setOutcome] = useState<Outcome>();
  const [isSending, setSending] = useState(false);
  /** Made anew for each event, and kept for a repeat of one whose answer was lost. */
  const [id, setId] = useState(newEventId);
  // Before anything can be typed that it would overwrite.
  useLayoutEffect(() => {
    if (isTopic(topics)) setTopic(topics);
  }, [topics]);
  const examples = seenTypes(feed?.items.value ?? []);
  const example = examples.get(type);
  const fault = faultOf({ topic, type, data }, (one) =>
    permits(me.value?.permissions ?? [], 'publish', one),
  );
  const send = async () => {
    setSending(true);
    const read = readJson(data);
    const value = 'value' in read ? read.value : undefined;
    const traceparent = newTraceparent();
    const more = {
      ...(value !== undefined && { data: value }),
      ...(traceparent && { traceparent }),
    };
    try {
      setOutcome({ published: await publisher.publish({ id, topic, type, ...more }) });
      setId(newEventId());
    } catch (error) {
      setOutcome({ error });
    }
    setSending(false);
  };
  return (
    <Panel title="Publish an event">
      <form
        class="publish"
        onSubmit={(event) => {
          event.preventDefault();
          if (!fault) void send();
        }}
      >
        <label class="field">
          <span>Topic</span>
          <input
            class="mono"
            value={topic}
            placeholder="orders.42"
            spellcheck={false}
            autocomplete="off"
            onInput={(event) => setTopic(event.currentTarget.value)}
          />
        </label>
        <label class="field">
          <span>Type</span>
          <input
            class="mono"
            list="seen-types"
            value={type}
            placeholder="order.paid"
            spellcheck={false}
            autocomplete="off"
            onInput={(event) => setType(event.currentTarget.value)}
          />
          <datalist id="seen-types">
            {[...examples.keys()].map((one) => (
              <option key={one} value={one} />
            ))}
          </datalist>
        </label>
        <label class="field publish-data">
          <span>Data, as JSON (at most {DATA_BYTES_MAX / 1024} KiB; empty for none)</span>
          <textarea
            class="mono"
            rows={6}
            value={data}
            spellcheck={false}
            autocomplete="off"
            placeholder={'{ "amount": 42 }'}
            onInput={(event) => setData(event.currentTarget.value)}
          />
        </label>
        {example && <Example event={example} use={setData} />}
        <div class="row publish-end">
          <button type="submit" class="primary" disabled={isSending || fault !== undefined}>
            {isSending ? 'Publishing …' : 'Publish'}
          </button>
          {fault && (type || data || topic !== topics) && (
            <span class="bad-text" role="alert">
              {fault}
            </span>
          )}
        </div>
      </form>
      {outcome && <Told outcome={outcome} />}
    </Panel>
  );
}

function Example({ event, use }: { event: CloudEvent; use: (data: string) => void }) {
  return (
    <div class="publish-example">
      <span class="quiet">The last event of this type has</span>
      <code>{shapeOf(event.data)}</code>
      <button type="button" onClick={() => use(JSON.stringify(event.data, null, 2) ?? '')}>
        Use its data
      </button>
    </div>
  );
}

function Told({ outcome }: { outcome: Outcome }) {
  if ('error' in outcome) return <Failed error={outcome.error} />;
  const { cursor, duplicate } = outcome.published;
  return (
    <Notice kind="good">
      {duplicate ? 'It had been stored before, at ' : 'Stored at '}
      <a href={href('event', { cursor })}>{cursor}</a>
    </Notice>
  );
}
