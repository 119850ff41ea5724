import { createHash } from 'node:crypto';
import { textList } from './text-list.ts';

/** Most types of one subscription or query. */
export const TYPES_MAX = 100;

/** Most bytes of all types of one subscription or query together, in UTF-8. */
export const TYPES_BYTES_MAX = 8 * 1024;

/** Longer keys are hashed. */
const KEY_LENGTH_MAX = 100;

/** At the end of a type it stands for any rest, also for none. */
const REST = '*';

/** What is wrong with the types of a subscription or query, as a predicate; `undefined` if nothing is. */
export function typesFault(types: readonly string[]): string | undefined {
  if (types.length === 0 || types.length > TYPES_MAX) return `must have 1 to ${TYPES_MAX} types`;
  for (const type of types) {
    if (type === '') return 'must have no empty type';
    const star = type.indexOf(REST);
    if (star !== -1 && star < type.length - 1) return 'may have * only at the end of a type';
    if (!type.isWellFormed()) return 'must be well-formed Unicode';
  }
  const bytes = types.reduce((sum, type) => sum + Buffer.byteLength(type), 0);
  return bytes > TYPES_BYTES_MAX ? `must have at most ${TYPES_BYTES_MAX} bytes` : undefined;
}

/** The types of a subscription or query, as a list. */
export const typeList = textList(typesFault);

/** Splits types separated by commas, as in a query string: `order.paid,invoice.*`. */
export function splitTypes(text: string): readonly string[] {
  return text.split(',').map((type) => type.trim());
}

/**
 * The CloudEvents types that a subscription or query wants: each exact, or the begin of a type with `*` at its
 * end. Filters that accept the same names have equal keys: order, duplicates, and types that another one
 * includes make no difference.
 *
 * A type is looked up by bisection, so that 100 names cost seven comparisons.
 */
export class TypeFilter {
  /** What it was reduced to, sorted. */
  readonly list: readonly string[];
  readonly key: string;
  /** The list without the `*`, in the same order. None includes another one. */
  readonly #texts: readonly string[];
  readonly #open: readonly boolean[];

  /** @param types without a fault (`typesFault`) */
  constructor(types: Iterable<string>) {
    const names = reduced([...types]);
    this.list = names.map(({ text, isOpen }) => (isOpen ? text + REST : text));
    const text = JSON.stringify(this.list);
    this.key = text.length > KEY_LENGTH_MAX ? hash(text) : text;
    this.#texts = names.map(({ text }) => text);
    this.#open = names.map(({ isOpen }) => isOpen);
  }

  /** A filter for what any of some filters accepts. */
  static union(filters: readonly TypeFilter[]): TypeFilter {
    const [first, ...others] = filters;
    const isSame = first !== undefined && others.every(({ key }) => key === first.key);
    return isSame ? first : new TypeFilter(filters.flatMap(({ list }) => list));
  }

  /** Whether it accepts every type. */
  get isAll(): boolean {
    return this.#texts[0] === '';
  }

  /** The types that it names exactly. */
  get exact(): readonly string[] {
    return this.#texts.filter((_, index) => !this.#open[index]);
  }

  /** What the types that it accepts besides the exact ones begin with. */
  get prefixes(): readonly string[] {
    return this.#texts.filter((_, index) => this.#open[index]);
  }

  accepts(type: string): boolean {
    const index = this.#indexBeyond(type) - 1;
    const text = this.#texts[index];
    if (text === undefined) return false;
    return text === type || (this.#open[index] === true && type.startsWith(text));
  }

  /** Whether some type is accepted by both. */
  overlaps(other: TypeFilter): boolean {
    return this.#meets(other) || other.#meets(this);
  }

  /** Whether it accepts the text of one that the other has, exact or as a begin. */
  #meets(other: TypeFilter): boolean {
    return other.#texts.some((text) => this.accepts(text));
  }

  /** The index of the first text that sorts behind a type. */
  #indexBeyond(type: string): number {
    let low = 0;
    let high = this.#texts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#texts[middle] ?? '') <= type) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

interface Name {
  readonly text: string;
  readonly isOpen: boolean;
}

/** Sorted, without those that another one includes. What a text includes sorts right behind it. */
function reduced(types: readonly string[]): Name[] {
  const names = types.map((type) => {
    const isOpen = type.endsWith(REST);
    return { text: isOpen ? type.slice(0, -REST.length) : type, isOpen };
  });
  names.sort((left, right) => {
    if (left.text !== right.text) return left.text < right.text ? -1 : 1;
    return Number(right.isOpen) - Number(left.isOpen);
  });
  const kept: Name[] = [];
  for (const name of names) {
    const last = kept.at(-1);
    const isIncluded = last?.isOpen ? name.text.startsWith(last.text) : name.text === last?.text;
    if (!isIncluded) kept.push(name);
  }
  return kept;
}

/** No list as JSON begins with an equals sign. */
function hash(text: string): string {
  return `=${createHash('sha256').update(text).digest('base64')}`;
}
