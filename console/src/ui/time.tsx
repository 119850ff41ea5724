import { ago, fullTime } from './format.ts';

interface TimeProps {
  /** RFC 3339, or milliseconds since 1970. */
  readonly of: string | number;
  readonly now?: number;
}

/** How long ago; the whole time under the pointer. */
export function Time({ of, now }: TimeProps) {
  return (
    <time dateTime={new Date(of).toISOString()} title={fullTime(of)}>
      {ago(of, now)}
    </time>
  );
}
