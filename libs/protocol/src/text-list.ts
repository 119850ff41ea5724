import { z } from 'zod';

/*
 * `z.array` reports every wrong item, which takes half a second for a message of 512 KB. These schemas look no
 * further than the first one.
 */

interface ListFault {
  readonly path: number[];
  readonly message: string;
}

/**
 * A schema for a list of texts.
 *
 * @param faultOf what is wrong with the texts, as a predicate; `undefined` if nothing is
 */
export function textList(
  faultOf: (texts: readonly string[]) => string | undefined = () => undefined,
) {
  return z.custom<readonly string[]>().superRefine((value, context) => {
    const fault = firstFault(value, (item) => typeof item === 'string', 'a text');
    const message = fault ? undefined : faultOf(value);
    if (fault) context.addIssue({ code: 'custom', ...fault });
    else if (message !== undefined) context.addIssue({ code: 'custom', message });
  });
}

/** A schema for a list of what another schema accepts, which must change nothing that it accepts. */
export function listOf<T>(item: z.ZodType<T>) {
  return z.custom<readonly T[]>().superRefine((value, context) => {
    const fault = firstFault(value, (one) => item.safeParse(one).success, 'as agreed');
    if (fault) context.addIssue({ code: 'custom', ...fault });
  });
}

function firstFault(
  value: unknown,
  accepts: (item: unknown) => boolean,
  wanted: string,
): ListFault | undefined {
  if (!Array.isArray(value)) return { path: [], message: 'must be a list' };
  const index = value.findIndex((item) => !accepts(item));
  return index < 0 ? undefined : { path: [index], message: `must be ${wanted}` };
}
