import { signal } from '@preact/signals';

/** Where the person is: `#/connections?sub=alice`, `#/event/<cursor>`. It is in the hash, so that the server needs to know one page only. */
export interface Route {
  /** Without slashes, such as `connections`; empty at the start. */
  readonly page: string;
  /** What comes behind the page, such as a cursor; empty where there is nothing. */
  readonly rest: string;
  readonly query: URLSearchParams;
}

export const route = signal<Route>(read());

/** Follows the address from now on. */
export function followAddress(): void {
  route.value = read();
  addEventListener('hashchange', () => {
    route.value = read();
  });
}

/** The address of a page, with those parameters that are not empty. */
export function href(
  page: string,
  query: Readonly<Record<string, string | undefined>> = {},
): string {
  const given = Object.entries(query).filter((pair): pair is [string, string] => Boolean(pair[1]));
  const text = new URLSearchParams(given).toString();
  return `#/${page}${text && `?${text}`}`;
}

/** Goes to a page, as a link does. */
export function go(page: string, query: Readonly<Record<string, string | undefined>> = {}): void {
  location.hash = href(page, query);
}

/** Changes the parameters of the present page without a step in the browser's history. */
export function replaceQuery(query: Readonly<Record<string, string | undefined>>): void {
  history.replaceState(null, '', href(route.value.page, query));
  route.value = read();
}

function read(): Route {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?', 2);
  const [page = '', rest = ''] = path.split('/', 2);
  return { page, rest, query: new URLSearchParams(query) };
}
