import type { Stream } from '../../api/types.ts';
import { Meter } from '../../ui/bar.tsx';
import { bytes, count, duration } from '../../ui/format.ts';

/** From here on a limit is near enough to tell. */
const NEAR = 0.9;

/** What a stream holds, as bars against its limits. */
export function Limits({ stream }: { stream: Stream }) {
  const { name, messages, limits } = stream;
  return (
    <div class="limits">
      <Limit
        name={`Messages of ${name}`}
        label="Messages"
        value={messages}
        max={limits.messages}
        show={count}
      />
      <SizeLimit stream={stream} label="Size" />
      <AgeLimit stream={stream} />
    </div>
  );
}

/** A stream that is full of bytes refuses events, so this one warns. */
export function SizeLimit({ stream, label }: { stream: Stream; label?: string }) {
  const { name, bytes: size, limits } = stream;
  return (
    <Limit
      name={`Size of ${name}`}
      label={label}
      value={size}
      max={limits.bytes}
      show={bytes}
      warnAt={NEAR}
    />
  );
}

/** A stream at its age only forgets the oldest, as it should. */
function AgeLimit({ stream: { name, firstTime, limits } }: { stream: Stream }) {
  const ageMs = firstTime === null ? 0 : Math.max(0, Date.now() - new Date(firstTime).getTime());
  const max = limits.ageSeconds === null ? null : limits.ageSeconds * 1000;
  return (
    <Limit
      name={`Age of the oldest message of ${name}`}
      label="Age of the oldest"
      value={ageMs}
      max={max}
      show={duration}
    />
  );
}

interface LimitProps {
  /** For who hears it. */
  readonly name: string;
  /** Above the bar. */
  readonly label: string | undefined;
  readonly value: number;
  readonly max: number | null;
  readonly show: (value: number) => string;
  readonly warnAt?: number;
}

function Limit({ name, label, value, max, show, warnAt }: LimitProps) {
  const hasLimit = max !== null && max > 0;
  const text = hasLimit ? `${show(value)} of ${show(max)}` : show(value);
  return (
    <div class="stack tight">
      <div class="row spread">
        {label && <span class="quiet">{label}</span>}
        <span>
          <strong>{show(value)}</strong>
          <span class="quiet">{hasLimit ? ` of ${show(max)}` : ', no limit'}</span>
        </span>
      </div>
      {hasLimit && (
        <Meter label={name} value={value} max={max} text={text} {...(warnAt && { warnAt })} />
      )}
    </div>
  );
}
