import type { Api, ApiRequest } from '../http/api.ts';

interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
  readonly complete: boolean;
}

const PAGE_ITEMS = 1000;

/** All items of a list that comes in pages, whose `next` is the `after` of the next one. Holds one page. */
export async function* allPages<Item>(api: Api, request: ApiRequest): AsyncGenerator<Item> {
  let after: string | undefined;
  for (;;) {
    const { body } = await api.send<Page<Item>>({
      service: 'replay',
      ...request,
      query: { ...request.query, limit: String(PAGE_ITEMS), after },
    });
    yield* body.items;
    if (body.complete || body.next === null || body.next === after) return;
    after = body.next;
  }
}
