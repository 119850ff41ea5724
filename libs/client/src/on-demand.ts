import { offlineError, TidemarkClientError } from './errors.ts';

/** Loads a part of the library at the first call. A failure is an outage as any other: the next call tries again. */
export function onDemand<Part>(load: () => Promise<Part>): () => Promise<Part> {
  let loaded: Promise<Part> | undefined;
  return () => {
    loaded ??= load().catch((error: unknown) => {
      loaded = undefined;
      throw error instanceof TidemarkClientError ? error : offlineError(error);
    });
    return loaded;
  };
}
