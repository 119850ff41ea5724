import { z } from 'zod';

const timeShape = z.iso.datetime();

/** What an operator is told of a rebuild of an archive (PROTOCOL.md section 13.4). */
export const rebuildShape = z
  .object({
    state: z.enum(['running', 'complete', 'failed', 'cancelled']),
    done: z.int().min(0).meta({ description: 'Sequences of the log that were read.' }),
    total: z.int().min(0).meta({ description: 'Sequences of the log that the archive covers.' }),
    unreadable: z.int().min(0).meta({ description: 'Events whose content could not be read.' }),
    startedAt: timeShape,
    endedAt: timeShape.exactOptional(),
    reason: z.string().exactOptional().meta({ description: 'Why it has no result.' }),
  })
  .meta({ id: 'Rebuild' });

/** How far a rebuild is, or how it ended. */
export type RebuildStatus = Readonly<z.infer<typeof rebuildShape>>;
