import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { end, mayAdmin, me } from '../api/session.ts';
import { followStats } from '../api/stats-feed.ts';
import { go, route } from '../ui/route.ts';
import { addShortcuts } from '../ui/shortcuts.ts';
import { nextTheme } from '../ui/theme.ts';
import { Navigation } from './navigation.tsx';
import { PageContent } from './page-content.tsx';
import { allowedPages, PAGES } from './pages.ts';
import { ShortcutHelp } from './shortcut-help.tsx';
import { TopBar } from './top-bar.tsx';

/** After the first page has what it needs. */
const LOAD_REST_MS = 1500;

/** Browsers run a longer timer at once. */
const TIMER_MOST_MS = 2 ** 31 - 1;

/** Navigation, the bar with the token's user, and the page. */
export function Layout() {
  const pages = allowedPages();
  const page = PAGES.find(({ name }) => name === route.value.page) ?? pages[0];
  const [help, setHelp] = useState(false);
  const main = useRef<HTMLElement>(null);
  // The keys work as soon as the page is there.
  useLayoutEffect(
    () =>
      addShortcuts([
        ...pages.map(({ key, title, name }) => ({
          keys: `g ${key}`,
          label: title,
          run: () => go(name),
        })),
        { keys: '/', label: 'Search field of the page', run: focusSearch },
        { keys: 'd', label: 'Theme: system, light, dark', run: nextTheme },
        { keys: '?', label: 'These shortcuts', run: () => setHelp(true) },
      ]),
    [],
  );
  useEffect(() => (mayAdmin() ? followStats() : undefined), []);
  useEffect(endWithToken, []);
  useEffect(loadAllPages, []);
  useEffect(() => {
    document.title = page ? `${page.title} · Tidemark` : 'Tidemark';
  }, [page]);
  return (
    <div class="layout">
      {/* No link: the address after `#` is the page. */}
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <Navigation pages={pages} current={page} />
      <div class="content">
        <TopBar title={page?.title ?? 'Nothing to see'} openHelp={() => setHelp(true)} />
        <main ref={main} id="main" tabIndex={-1}>
          <PageContent key={page?.name} page={page} />
        </main>
      </div>
      {help && <ShortcutHelp close={() => setHelp(false)} />}
    </div>
  );
}

function focusSearch(): void {
  document.querySelector<HTMLElement>('main [data-search]')?.focus();
}

/** So that each page can still be shown while the gateway is away, or after an upgrade of it. */
function loadAllPages(): (() => void) | undefined {
  const timer = setTimeout(() => {
    for (const page of allowedPages()) page.load().catch(() => undefined);
  }, LOAD_REST_MS);
  return () => clearTimeout(timer);
}

/** Ends the session when its token expires, also where no request would notice. */
function endWithToken(): (() => void) | undefined {
  const left = new Date(me.peek()?.expiresAt ?? Number.NaN).getTime() - Date.now();
  if (!(left < TIMER_MOST_MS)) return undefined;
  const timer = setTimeout(() => end('The token has expired.'), left);
  return () => clearTimeout(timer);
}
