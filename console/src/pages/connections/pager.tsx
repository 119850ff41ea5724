interface PagerProps {
  /** The `after` of each page up to this one; none for the first. */
  readonly pages: readonly string[];
  readonly setPages: (pages: readonly string[]) => void;
  /** The `after` of the next page. */
  readonly next: string | null;
}

export function Pager({ pages, setPages, next }: PagerProps) {
  if (pages.length === 0 && next === null) return null;
  return (
    <nav class="pager" aria-label="Pages of the table">
      <button
        type="button"
        disabled={pages.length === 0}
        onClick={() => setPages(pages.slice(0, -1))}
      >
        Previous
      </button>
      <span class="quiet">page {pages.length + 1}</span>
      <button
        type="button"
        disabled={next === null}
        onClick={() => next !== null && setPages([...pages, next])}
      >
        Next
      </button>
    </nav>
  );
}
