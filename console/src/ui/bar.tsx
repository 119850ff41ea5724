interface BarProps {
  /** What it is of, such as `Bytes of events`. */
  readonly label: string;
  readonly value: number;
  readonly max: number;
  /** The value in words. */
  readonly text: string;
}

/** How full something is; from the share `warnAt` on it is a warning. */
export function Meter({ label, value, max, text, warnAt }: BarProps & { warnAt?: number }) {
  const isHigh = warnAt !== undefined && max > 0 && value / max >= warnAt;
  return (
    <meter
      class={isHigh ? 'share high' : 'share'}
      aria-label={label}
      aria-valuetext={text}
      min={0}
      max={max}
      value={Math.min(value, max)}
    />
  );
}

/** How far something is. */
export function Progress({ label, value, max, text }: BarProps) {
  return (
    <progress
      class="share"
      aria-label={label}
      aria-valuetext={text}
      max={max}
      value={Math.min(value, max)}
    />
  );
}
