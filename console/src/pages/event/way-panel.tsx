import type { ComponentChildren } from 'preact';
import { configuration } from '../../api/configuration.ts';
import { mayAdmin } from '../../api/session.ts';
import type { CloudEvent } from '../../api/types.ts';
import { duration } from '../../ui/format.ts';
import { Icon } from '../../ui/icon.tsx';
import { Panel } from '../../ui/panel.tsx';
import { Empty, Failed, Loading } from '../../ui/states.tsx';
import { layOut, readTraceparent } from './trace-rows.ts';
import { useTrace } from './use-trace.ts';
import { Way } from './way.tsx';

interface WayPanelProps {
  readonly event: CloudEvent;
  readonly storedAt: string;
}

/** The way of an event through the services, where its trace was kept; or why there is none. */
export function WayPanel({ event, storedAt }: WayPanelProps) {
  const trace = readTraceparent(event.traceparent);
  const absence = whyNone(event, trace?.isSampled);
  if (absence !== undefined || !trace) {
    return (
      <Panel title="Its way">
        <Empty title={absence?.title ?? ''}>{absence?.text}</Empty>
      </Panel>
    );
  }
  return <TracePanel traceId={trace.traceId} storedAt={storedAt} />;
}

/** Spans that the panel knows of come in within seconds; a trace that is missing after that was not kept. */
function TracePanel({ traceId, storedAt }: { traceId: string; storedAt: string }) {
  const { trace, error, isWaiting, reload } = useTrace(traceId, Date.parse(storedAt));
  if (!trace) {
    return (
      <Panel title="Its way">
        {error !== undefined && <Failed error={error} retry={reload} />}
        {error === undefined && isWaiting && <Loading label="The trace is not there yet" />}
        {error === undefined && !isWaiting && (
          <Empty title="This trace is not kept.">
            Jaeger does not have <code>{traceId}</code>, or no longer.
          </Empty>
        )}
      </Panel>
    );
  }
  const { rows, totalMs } = layOut(trace.spans);
  const actions = (
    <>
      <span class="quiet">{duration(totalMs)} in all</span>
      <button
        type="button"
        class="bare"
        onClick={reload}
        aria-label="Read the trace again"
        title="Read again"
      >
        <Icon name="refresh" />
      </button>
      {trace.url && (
        <a class="button" href={trace.url} target="_blank" rel="noreferrer">
          Jaeger <Icon name="external" />
        </a>
      )}
    </>
  );
  return (
    <Panel title="Its way" actions={actions} flush>
      <Way rows={rows} totalMs={totalMs} />
    </Panel>
  );
}

interface Absence {
  readonly title: string;
  readonly text?: ComponentChildren;
}

function whyNone({ traceparent }: CloudEvent, isSampled: boolean | undefined): Absence | undefined {
  if (traceparent === undefined) {
    const text = 'It was published without a trace context, so nothing was recorded of it.';
    return { title: 'This event has no trace.', text };
  }
  if (isSampled === undefined) {
    return { title: 'This event has no trace.', text: 'Its traceparent is none of version 00.' };
  }
  if (!isSampled) {
    const text =
      'Whoever began its trace chose not to record it: the last two digits of traceparent are even.';
    return { title: 'This trace was not sampled.', text };
  }
  if (!configuration.value?.traces) {
    const text = (
      <>
        The gateway has no address of a Jaeger: <code>TIDEMARK_GATEWAY_JAEGER_URL</code> is not set.
      </>
    );
    return { title: 'Nobody keeps traces here.', text };
  }
  if (mayAdmin()) return undefined;
  return { title: 'This token may not read traces.', text: 'That needs the scope word admin.' };
}
