/**
 * Which items of an inbox have a flag, such as `read`: all up to a sequence, with exceptions. An exception below
 * that sequence lacks the flag, one beyond it has the flag.
 */
export interface InboxMark {
  /** 0: none. */
  readonly upTo: number;
  /** Sequences, ascending, each once. */
  readonly except: readonly number[];
}

/** The mark that no item has. */
export const NO_MARK: InboxMark = { upTo: 0, except: [] };

/** Whether an item has the flag. */
export function isMarked({ upTo, except }: InboxMark, sequence: number): boolean {
  return sequence <= upTo !== includes(except, sequence);
}

/** Gives the flag to all items up to a sequence. The position never goes back. */
export function markUpTo(mark: InboxMark, sequence: number): InboxMark {
  return {
    upTo: Math.max(mark.upTo, sequence),
    except: mark.except.filter((one) => one > sequence),
  };
}

/** Gives the flag to one item, or takes it away. */
export function markOne(mark: InboxMark, sequence: number, flag: boolean): InboxMark {
  if (isMarked(mark, sequence) === flag) return mark;
  const others = mark.except.filter((one) => one !== sequence);
  if (others.length < mark.except.length) return { ...mark, except: others };
  return { ...mark, except: [...others, sequence].sort((left, right) => left - right) };
}

/**
 * Moves the position forward to where the exceptions are fewest, for a mark with too many of them. No item gets or
 * loses the flag by it.
 *
 * @param items the sequences of the items after the position, ascending, up to `through`; exceptions up to there
 *   that are none of them are dropped
 */
export function compactMark(mark: InboxMark, items: readonly number[], through: number): InboxMark {
  const flags = items.map((sequence) => isMarked(mark, sequence));
  let exceptions = flags.filter(Boolean).length;
  let best = { exceptions, upTo: mark.upTo };
  for (const [index, sequence] of items.entries()) {
    exceptions += flags[index] ? -1 : 1;
    if (exceptions <= best.exceptions) best = { exceptions, upTo: sequence };
  }
  const { upTo } = best;
  const between = items.filter((sequence, index) => sequence <= upTo !== flags[index]);
  const below = mark.except.filter((sequence) => sequence <= mark.upTo);
  const beyond = mark.except.filter((sequence) => sequence > Math.max(through, mark.upTo));
  return { upTo, except: [...below, ...between, ...beyond] };
}

/** By bisection, because an item is looked up in several marks. */
function includes(sorted: readonly number[], wanted: number): boolean {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === wanted;
}
