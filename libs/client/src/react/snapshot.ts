import { useMemo } from 'react';
import type { CloudEvent, EventMap, EventOf, SnapshotOptions, Tidemark } from '../types.ts';
import { type Failure, type Hearer, LiveStore, type Source, useLive } from './live-store.ts';
import { useTidemark } from './provider.ts';
import { useLatest } from './timing.ts';

/** What a snapshot may choose. Other options begin a new one; an array or object that holds the same does not. */
export type UseSnapshotOptions = Omit<SnapshotOptions, 'signal'>;

/** The newest event of each topic. It is immutable: each change makes a new one, with a new map. */
export interface SnapshotView<Event = CloudEvent> extends Failure {
  readonly topics: ReadonlyMap<string, Event>;
  /** The newest events of all topics have arrived. */
  readonly isReady: boolean;
}

/**
 * The newest event of each topic, kept up to date while the component is mounted. Changes that come in one frame are
 * rendered once.
 */
export function useSnapshot<Events extends EventMap = Record<string, unknown>>(
  topics: string | readonly string[],
  options: UseSnapshotOptions = {},
): SnapshotView<EventOf<Events>> {
  const client = useTidemark();
  const { tombstone, ...more } = options;
  const latest = useLatest(tombstone);
  const key = JSON.stringify([[topics].flat(), more, tombstone !== undefined]);
  const store = useMemo(() => {
    const [topics, more, hasTombstone] = JSON.parse(key);
    const tombstone = (event: CloudEvent) => latest.current?.(event) ?? false;
    const options = hasTombstone ? { ...more, tombstone } : more;
    return new LiveStore(client, new SnapshotSource(client, topics, options));
  }, [client, key, latest]);
  return useLive(store) as SnapshotView<EventOf<Events>>;
}

class SnapshotSource implements Source<SnapshotView> {
  readonly #client: Tidemark;
  readonly #topics: readonly string[];
  readonly #options: SnapshotOptions;
  /** What is shown; that of before until a snapshot that was opened again is complete. */
  #shown: ReadonlyMap<string, CloudEvent> = new Map();
  #isReady = false;

  constructor(client: Tidemark, topics: readonly string[], options: SnapshotOptions) {
    this.#client = client;
    this.#topics = topics;
    this.#options = options;
  }

  view(): SnapshotView {
    return { topics: new Map(this.#shown), isReady: this.#isReady };
  }

  open(hearer: Hearer): () => void {
    const snapshot = this.#client.snapshot(this.#topics, this.#options);
    if (!this.#isReady) this.#shown = snapshot.topics;
    const endChanges = snapshot.on('change', hearer.changed);
    snapshot.ready.then(() => {
      this.#shown = snapshot.topics;
      this.#isReady = true;
      hearer.changed();
    }, hearer.failed);
    snapshot.ended.catch(hearer.failed);
    return () => {
      endChanges();
      snapshot.close();
    };
  }
}
