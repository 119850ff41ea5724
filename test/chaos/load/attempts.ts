import type { PublishAnswer, PublishAttempt } from '../history.ts';
import type { Recorder } from '../recorder.ts';

/** An event to publish, and the way that it takes. */
export interface Publication {
  readonly publisher: string;
  readonly via: PublishAttempt['via'];
  readonly topic: string;
  readonly id: string;
  readonly condition?: string | null;
}

/** What came back. */
export type Answer = Pick<PublishAnswer, 'outcome' | 'code' | 'cursor'>;

export const SOURCE = '/chaos';

/** Numbers and records the attempts to publish. */
export class Attempts {
  readonly #recorder: Recorder;
  #count = 0;
  #acknowledged = 0;

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  get attempts(): number {
    return this.#count;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  begin(publication: Publication): number {
    const attempt = ++this.#count;
    this.#recorder.record({ kind: 'publish-attempt', attempt, source: SOURCE, ...publication });
    return attempt;
  }

  end(attempt: number, answer: Answer): Answer {
    if (answer.outcome === 'stored' || answer.outcome === 'duplicate') this.#acknowledged++;
    this.#recorder.record({ kind: 'publish-answer', attempt, ...answer });
    return answer;
  }

  async record(publication: Publication, send: () => Promise<Answer>): Promise<Answer> {
    const attempt = this.begin(publication);
    return this.end(attempt, await send().catch(() => ({ outcome: 'unknown' }) as const));
  }
}

/** A CloudEvent of some hundred bytes, now and then of some thousand. */
export function eventOf({ topic, id }: { topic: string; id: string }, bytes: number): object {
  const [type = ''] = topic.split('.');
  const data = { text: 'lorem ipsum '.repeat(Math.ceil(bytes / 12)) };
  return { specversion: '1.0', id, source: SOURCE, type, topic, data };
}
