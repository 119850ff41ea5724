import type { Api, ApiRequest } from '../http/api.ts';

interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
  readonly complete: boolean;
}

/** All items of a list that comes in pages, whose `next` is the `after` of the next one. Holds one page. */
export async function* allPages<Item>(
  api: Api,
  request: ApiRequest & { readonly limit?: number },
): AsyncGenerator<Item> {
  const { limit = 1000, query, ...rest } = request;
  let after: string | undefined;
  for (;;) {
    const { body } = await api.send<Page<Item>>({
      service: 'replay',
      ...rest,
      query: { ...query, limit: String(limit), after },
    });
    yield* body.items;
    if (body.complete || body.next === null || body.next === after) return;
    after = body.next;
  }
}
