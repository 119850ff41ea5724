import type { Span } from '../../api/types.ts';

/** A span as a line of the picture. */
export interface TraceRow {
  readonly span: Span;
  /** 0 for a span without a parent in the trace. */
  readonly depth: number;
  /** When it begins, in ms after the trace. */
  readonly afterMs: number;
  /** Where its bar lies, in percent of the picture's width. */
  readonly left: number;
  readonly width: number;
}

/** The narrowest bar that can be seen, in percent. */
const WIDTH_MIN = 0.4;

/**
 * Lays out a trace: each span under its parent, siblings in the order in which they began.
 *
 * @returns the lines from top to bottom, and how long all of it took
 */
export function layOut(spans: readonly Span[]): { rows: TraceRow[]; totalMs: number } {
  const startMs = Math.min(...spans.map((span) => span.startMs));
  const totalMs = Math.max(0, ...spans.map((span) => span.startMs + span.durationMs - startMs));
  const known = new Set(spans.map(({ id }) => id));
  const children = new Map<string, Span[]>();
  for (const span of spans) {
    const { id, parent } = span;
    const above = parent !== null && parent !== id && known.has(parent) ? parent : '';
    children.set(above, [...(children.get(above) ?? []), span]);
  }
  const rows: TraceRow[] = [];
  const add = (parent: string, depth: number): void => {
    const siblings = children.get(parent) ?? [];
    children.delete(parent);
    for (const span of siblings.sort((one, other) => one.startMs - other.startMs)) {
      rows.push({ span, depth, ...bar(span, startMs, totalMs) });
      add(span.id, depth + 1);
    }
  };
  add('', 0);
  // Spans that are each other's parents: shown all the same.
  for (const parent of [...children.keys()]) add(parent, 0);
  return { rows, totalMs };
}

function bar({ startMs, durationMs }: Span, beginMs: number, totalMs: number) {
  const afterMs = startMs - beginMs;
  const percent = (ms: number) => (totalMs === 0 ? 0 : (ms * 100) / totalMs);
  const width = Math.max(WIDTH_MIN, percent(durationMs));
  return { afterMs, left: Math.min(percent(afterMs), 100 - width), width };
}

/** The id of the trace and whether it is recorded, of a W3C `traceparent`; `undefined` where it is none. */
export function readTraceparent(
  text: string | undefined,
): { traceId: string; isSampled: boolean } | undefined {
  const match = /^00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/.exec(text ?? '');
  if (!match?.[1]) return undefined;
  return { traceId: match[1], isSampled: (Number.parseInt(match[2] ?? '', 16) & 1) === 1 };
}
