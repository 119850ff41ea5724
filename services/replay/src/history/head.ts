import { requireGrant, requirePermission } from '@tidemark/auth';
import { formatCursor, type Head, type NewestStep } from '@tidemark/protocol';
import { NewestMatch } from '../serving/newest-match.ts';
import { type AtLeastOptions, waitForAtLeast } from './at-least.ts';
import { parseHeadQuery } from './query.ts';
import type { HistorySource } from './range.ts';
import type { Read } from './reads.ts';

/**
 * Finds the head that a request asks for.
 *
 * @throws TidemarkError `forbidden`; `unavailable` where a newer event may be in another archive; what `atLeast` throws
 */
export async function findHead(
  read: Pick<Read, 'request' | 'principal' | 'runStep' | 'signal'>,
  options: Pick<HistorySource, 'isElsewhere'> & AtLeastOptions,
): Promise<Head> {
  const { request, principal, runStep } = read;
  const { store, isElsewhere } = options;
  const { patterns, atLeast } = parseHeadQuery(request.query);
  requireGrant(principal, 'history', 'subscribe');
  for (const pattern of patterns ?? []) requirePermission(principal, 'history', pattern);
  await waitForAtLeast(atLeast, read, options);
  const { archive, bounds } = store.snapshot();
  const { epoch, lastSequence } = bounds;
  const cursor = formatCursor({ epoch, sequence: lastSequence });
  if (!patterns) return { cursor };
  const search = new NewestMatch({
    archive,
    patterns,
    through: lastSequence,
    isElsewhere: (range) => isElsewhere(epoch, range),
  });
  let step: NewestStep = { sequence: 0, next: '' };
  while (step.next !== null) {
    const { sequence: found, next: after } = step;
    step = await runStep(() => search.step({ after, found }));
  }
  const { sequence } = step;
  return { cursor, last: sequence === 0 ? null : formatCursor({ epoch, sequence }) };
}
