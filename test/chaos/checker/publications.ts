import type { PublishAnswer, PublishAttempt } from '../history.ts';

/** An attempt and its answer. */
export interface Publication {
  readonly attempt: PublishAttempt;
  answer?: PublishAnswer;
}

/** All attempts to publish one event. */
export interface PublishedEvent {
  readonly id: string;
  readonly topic: string;
  /** In the order of their times. */
  readonly publications: Publication[];
}

/** What was published in a run, by attempt and by event. */
export class Publications {
  readonly events = new Map<string, PublishedEvent>();
  readonly #attempts = new Map<number, Publication>();

  attempt(attempt: PublishAttempt): void {
    const publication: Publication = { attempt };
    this.#attempts.set(attempt.attempt, publication);
    const { id, topic } = attempt;
    const event = this.events.get(id);
    if (event) event.publications.push(publication);
    else this.events.set(id, { id, topic, publications: [publication] });
  }

  answer(answer: PublishAnswer): void {
    const publication = this.#attempts.get(answer.attempt);
    if (publication) publication.answer = answer;
  }

  *[Symbol.iterator](): Iterable<Publication> & Iterator<Publication> {
    yield* this.#attempts.values();
  }
}

/** Whether ingest has told that the stream holds the event. */
export function isAcknowledged({ answer }: Publication): boolean {
  return answer?.outcome === 'stored' || answer?.outcome === 'duplicate';
}
