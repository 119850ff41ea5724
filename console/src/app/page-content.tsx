import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Empty, Failed, Loading } from '../ui/states.tsx';
import type { Page } from './pages.ts';

/** Loads the file of a page, and shows it. */
export function PageContent({ page }: { page: Page | undefined }) {
  const [Content, setContent] = useState<ComponentType>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    if (page?.allowed()) page.load().then((found) => setContent(() => found.default), setError);
  }, [page]);
  if (!page) return <Empty title="This token allows nothing that the console shows." />;
  if (!page.allowed())
    return <Empty title={`${page.title}: the scopes of this token do not allow it.`} />;
  // After an upgrade of the gateway the files of an open page are gone: its new page names the new ones.
  if (error)
    return <Failed error="This page could not be loaded." retry={() => location.reload()} />;
  return Content ? <Content /> : <Loading lines={6} />;
}
