import type { ComponentChildren } from 'preact';
import type { CloudEvent } from '../../api/types.ts';
import type { StoredItem } from '../../events/history.ts';
import { Copyable } from '../../ui/copyable.tsx';
import { duration, fullTime } from '../../ui/format.ts';
import { Panel } from '../../ui/panel.tsx';
import { href } from '../../ui/route.ts';
import { Content } from './content.tsx';
import { Neighbours } from './neighbours.tsx';
import { WayPanel } from './way-panel.tsx';

/** Attributes that have a line of their own, or are shown elsewhere. */
const KNOWN = new Set([
  ...['specversion', 'id', 'source', 'type', 'topic', 'time', 'subject', 'publisher'],
  ...[
    'traceparent',
    'tracestate',
    'data',
    'data_base64',
    'datacontenttype',
    'dataschema',
    'expires',
  ],
]);

/** All that is known of an event. */
export function Details({ stored }: { stored: StoredItem }) {
  const { cursor, event, storedAt } = stored;
  return (
    <>
      <Neighbours topic={event.topic} cursor={cursor} />
      <div class="event-columns">
        <Panel title={event.type}>
          <dl class="facts">
            <Fact name="Topic">
              <a href={href('topics', { topics: event.topic })}>{event.topic}</a>
            </Fact>
            <Fact name="Cursor">
              <Copyable text={cursor} name="the cursor" />
            </Fact>
            <Fact name="Id">
              <Copyable text={event.id} name="the id" />
            </Fact>
            <Fact name="Source">
              <code>{event.source}</code>
            </Fact>
            <Fact name="Publisher">
              {event.publisher ?? (
                <span class="quiet">none: it was published at NATS, past ingest</span>
              )}
            </Fact>
            <Fact name="Stored">
              {fullTime(storedAt)} <Delay from={event.time} to={storedAt} />
            </Fact>
            <Optional name="Time" value={event.time && fullTime(event.time)} />
            <Optional name="Expires" value={event.expires && fullTime(String(event.expires))} />
            <Optional name="Subject" value={event.subject} />
            <Optional name="Content type" value={event.datacontenttype} />
            <Optional name="Schema" value={event.dataschema} />
            {extensions(event).map(([name, value]) => (
              <Optional key={name} name={name} value={String(value)} />
            ))}
            <Fact name="Trace">
              {event.traceparent ? (
                <Copyable text={event.traceparent} name="the traceparent" />
              ) : (
                <span class="quiet">none</span>
              )}
            </Fact>
          </dl>
        </Panel>
        <Content event={event} />
      </div>
      <WayPanel event={event} storedAt={storedAt} />
    </>
  );
}

interface FactProps {
  readonly name: string;
  readonly children: ComponentChildren;
}

function Fact({ name, children }: FactProps) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Optional({ name, value }: { name: string; value: unknown }) {
  return value === undefined || value === '' ? null : <Fact name={name}>{String(value)}</Fact>;
}

/** How long after its own time an event was stored; clocks may differ, so an earlier one says nothing. */
function Delay({ from, to }: { from: string | undefined; to: string }) {
  const ms = Date.parse(to) - Date.parse(from ?? '');
  return ms >= 0 ? <span class="quiet">({duration(ms)} after its time)</span> : null;
}

function extensions(event: CloudEvent): [string, unknown][] {
  return Object.entries(event).filter(([name]) => !KNOWN.has(name));
}
