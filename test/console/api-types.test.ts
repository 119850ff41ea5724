import type * as Protocol from '@tidemark/protocol';
import { describe, expectTypeOf, test } from 'vitest';
import type { z } from 'zod';
import type * as Console from '../../console/src/api/types.ts';

/*
 * The console's types of what services answer, against the schemas that the services answer by. The compiler checks them
 * (`npm run check:types`): a field that a service renames, or that may be `null` from then on, is an error here.
 */

describe('console: types of answers', () => {
  test('figures: as services answer them: are what the console reads', () => {
    expectTypeOf<Protocol.Stats>().toExtend<Console.Stats>();
  });

  test('connections: as gateways answer them: are what the console reads', () => {
    expectTypeOf<Protocol.ConnectionList>().toExtend<Console.ConnectionList>();
  });

  test('streams, traces and the token: as gateways answer them: are what the console reads', () => {
    expectTypeOf<z.infer<typeof Protocol.streamListShape>>().toExtend<Console.StreamList>();
    expectTypeOf<Protocol.AdminTrace>().toExtend<Console.Trace>();
    expectTypeOf<z.infer<typeof Protocol.meShape>>().toExtend<Console.Me>();
  });

  test('rebuilds: as replay answers them: are what the console reads', () => {
    expectTypeOf<z.infer<typeof Protocol.rebuildShape>>().toExtend<Console.Rebuild>();
  });
});
