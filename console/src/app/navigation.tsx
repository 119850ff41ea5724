import { useEffect, useRef } from 'preact/hooks';
import { configuration } from '../api/configuration.ts';
import { Icon } from '../ui/icon.tsx';
import { href } from '../ui/route.ts';
import { Brand } from './chrome.tsx';
import type { Page } from './pages.ts';

const GROUPS = ['Operate', 'Events'] as const;

interface NavigationProps {
  readonly pages: readonly Page[];
  readonly current: Page | undefined;
}

/** At the left; above the page on a phone, where it scrolls sideways. */
export function Navigation({ pages, current }: NavigationProps) {
  return (
    <nav class="nav" aria-label="Pages">
      <Brand />
      <div class="nav-groups">
        {GROUPS.map((group) => (
          <Group key={group} name={group} pages={pages} current={current} />
        ))}
      </div>
      <p class="nav-foot quiet">version {configuration.value?.version}</p>
    </nav>
  );
}

function Group({ name, pages, current }: NavigationProps & { name: Page['group'] }) {
  const own = pages.filter(({ group }) => group === name);
  if (own.length === 0) return null;
  return (
    <div class="nav-group">
      <p class="nav-title" id={`group-${name}`}>
        {name}
      </p>
      <ul aria-labelledby={`group-${name}`}>
        {own.map((page) => (
          <li key={page.name}>
            <PageLink page={page} isCurrent={page === current} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function PageLink({ page, isCurrent }: { page: Page; isCurrent: boolean }) {
  const link = useRef<HTMLAnchorElement>(null);
  useEffect(() => {
    // On a phone it may be beside the screen.
    if (isCurrent) link.current?.scrollIntoView({ block: 'nearest', inline: 'center' });
  }, [isCurrent]);
  return (
    <a ref={link} href={href(page.name)} aria-current={isCurrent ? 'page' : undefined}>
      <Icon name={page.name} />
      {page.title}
    </a>
  );
}
