const REASONS: Readonly<Record<string, string>> = {
  expired: 'retention removed it',
  epoch: 'the cursor is of another log',
  future: 'the log lost it',
};

/** Tells a person of a gap (PROTOCOL 5). */
export function gapText({
  from,
  to,
  reason,
}: {
  from: string;
  to: string;
  reason: string;
}): string {
  return `gap: what was stored after ${from} up to ${to} is missing: ${REASONS[reason] ?? reason}`;
}
