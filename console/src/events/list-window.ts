/** Which lines of a long list are drawn. */
export interface ListWindow {
  readonly first: number;
  /** After the last one. */
  readonly end: number;
}

/** Lines that are drawn beyond what is seen, so that scrolling shows no empty place. */
const MORE = 8;

/** @param rowHeight in pixels, as are the others */
export function listWindow(
  rows: number,
  { scrollTop, height, rowHeight }: { scrollTop: number; height: number; rowHeight: number },
): ListWindow {
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - MORE);
  const end = Math.min(rows, Math.ceil((scrollTop + height) / rowHeight) + MORE);
  return { first: Math.min(first, end), end };
}
