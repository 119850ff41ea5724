import { asTidemarkError, TidemarkError } from '@tidemark/protocol';

/**
 * How long a batch stores the events of one topic one after the other before it is answered with 503. So a batch that
 * nobody waits for any more ends soon.
 */
const ORDERED_MS_MAX = 10_000;

/**
 * Runs the appends of a topic one after the other. After one whose end is not known those behind it fail too, so that
 * a repeat of the batch stores all of them in order. One that is refused for good holds up nothing.
 *
 * @returns what runs an append when the one before of its topic is done; it fails with `unavailable` where that is late
 */
export function oneByOne<T>(
  timeoutMs = ORDERED_MS_MAX,
): (topic: string, store: () => Promise<T>) => Promise<T> {
  const endMs = performance.now() + timeoutMs;
  const last = new Map<string, Promise<T>>();
  return (topic, store) => {
    const storeInTime = () => {
      if (performance.now() < endMs) return store();
      throw new TidemarkError('unavailable', 'The batch took too long; a repeat stores the rest.', {
        retryAfterSeconds: 1,
      });
    };
    const behind = last.get(topic)?.then(storeInTime, (error) => {
      if (isRefusedRepeat(asTidemarkError(error))) return storeInTime();
      throw error;
    });
    const append = behind ?? store();
    last.set(topic, append);
    return append;
  };
}

/** Whether the stream has had another event, or one that was erased, under these names. */
export function isRefusedRepeat({ code }: TidemarkError): boolean {
  return code === 'conflict' || code === 'erased';
}
