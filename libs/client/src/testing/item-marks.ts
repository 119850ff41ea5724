/** Which items have a flag: all up to a sequence, apart from the exceptions; beyond it only the exceptions (PROTOCOL 14.5). */
export interface ItemMark {
  readonly upTo: number;
  /** Ascending. */
  readonly except: readonly number[];
}

export const NO_MARK: ItemMark = { upTo: 0, except: [] };

export function isMarked({ upTo, except }: ItemMark, sequence: number): boolean {
  return sequence <= upTo !== except.includes(sequence);
}

export function markUpTo({ upTo, except }: ItemMark, sequence: number): ItemMark {
  return { upTo: Math.max(upTo, sequence), except: except.filter((one) => one > sequence) };
}

export function markEach(mark: ItemMark, sequences: readonly number[], flag: boolean): ItemMark {
  const except = new Set(mark.except);
  for (const one of sequences) {
    if (one <= mark.upTo === flag) except.delete(one);
    else except.add(one);
  }
  return { ...mark, except: [...except].sort((left, right) => left - right) };
}
