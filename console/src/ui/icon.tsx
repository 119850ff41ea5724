/** Paths in a box of 16 by 16, drawn as lines. */
const PATHS = {
  now: 'M1.5 9h3l2-6 3 10 2-4h3',
  connections:
    'M1.5 8a2.5 2.5 0 1 0 5 0 2.5 2.5 0 1 0-5 0M9.5 8a2.5 2.5 0 1 0 5 0 2.5 2.5 0 1 0-5 0M6.5 8h3',
  replay: 'M2.5 4.5h11v8.5h-11zM1.5 2h13v2.5h-13zM6 7.5h4',
  streams:
    'M2 4c2 0 2 1.5 4 1.5S8 4 10 4s2 1.5 4 1.5M2 8c2 0 2 1.5 4 1.5S8 8 10 8s2 1.5 4 1.5M2 12c2 0 2 1.5 4 1.5S8 12 10 12s2 1.5 4 1.5',
  topics: 'M2 4h12M2 8h8M2 12h10',
  event: 'M3 3v4a3 3 0 0 0 3 3h6M9.5 7 13 10l-3.5 3',
  'try-it': 'M3 4l4 4-4 4M8.5 12H13',
  inbox: 'M2 9.5V13h12V9.5M2 9.5 4.5 3h7L14 9.5M2 9.5h3.5l1 1.5h3l1-1.5H14',
  menu: 'M2 4h12M2 8h12M2 12h12',
  close: 'M4 4l8 8M12 4l-8 8',
  refresh: 'M13 8a5 5 0 1 1-1.5-3.5M13 2.5V5h-2.5',
  light:
    'M8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM8 1.5v1.5M8 13v1.5M1.5 8H3M13 8h1.5M3.400 3.400l1.100 1.100M11.5 11.5l1.100 1.100M3.400 12.600l1.100-1.100M11.5 4.5l1.100-1.100',
  dark: 'M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z',
  system: 'M2 3h12v8H2zM6 13.5h4M8 11v2.5',
  keys: 'M1.5 4h13v8h-13zM4 6.5h0M6.5 6.5h0M9 6.5h0M11.5 6.5h0M5 9.5h6',
  leave: 'M6.5 3h-4v10h4M6 8h8M11 5l3 3-3 3',
  copy: 'M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1',
  warning: 'M8 2 14.5 13.5h-13zM8 6.5v3.5M8 12v0',
  next: 'M6 3.5 10.5 8 6 12.5',
  external: 'M6.5 3h-4v10.5H13v-4M9 2.5h4.5V7M13 3 7.5 8.5',
} as const;

export type IconName = keyof typeof PATHS;

/** Decoration beside a text, or inside a button that has a name of its own. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
