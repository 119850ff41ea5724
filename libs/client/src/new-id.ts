interface Random {
  randomUUID(): string;
  getRandomValues(words: Uint32Array): Uint32Array;
}

/** A random id. `crypto` has `randomUUID` on secure pages only, and React Native has no `crypto`. */
export function newId(random: () => number): string {
  const { crypto } = globalThis as { crypto?: Partial<Random> };
  if (crypto?.randomUUID) return crypto.randomUUID();
  const words = crypto?.getRandomValues?.(new Uint32Array(4));
  return [0, 1, 2, 3]
    .map((n) => (words?.[n] ?? Math.floor(random() * 2 ** 32)).toString(16).padStart(8, '0'))
    .join('');
}
