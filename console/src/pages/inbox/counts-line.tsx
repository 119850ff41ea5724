import { Badge } from '../../ui/badge.tsx';
import { count } from '../../ui/format.ts';
import type { Counts } from './types.ts';

/** How many items are new. Both figures end at 999 (PROTOCOL.md section 14.1). */
export function CountsLine({ counts: { unseen, unread, more } }: { counts: Counts }) {
  return (
    <>
      <Badge kind={unseen > 0 ? 'accent' : 'plain'}>{count(unseen)} unseen</Badge>
      <Badge kind={unread > 0 ? 'accent' : 'plain'}>
        {count(unread)}
        {more ? '+' : ''} unread
      </Badge>
    </>
  );
}
