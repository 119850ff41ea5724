import { useEffect, useState } from 'preact/hooks';

const NARROW = matchMedia('(max-width: 760px)');

/** Whether the page is as narrow as on a phone, where rows have two lines. */
export function useNarrow(): boolean {
  const [isNarrow, setNarrow] = useState(NARROW.matches);
  useEffect(() => {
    const change = () => setNarrow(NARROW.matches);
    NARROW.addEventListener('change', change);
    return () => NARROW.removeEventListener('change', change);
  }, []);
  return isNarrow;
}
