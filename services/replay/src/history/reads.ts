import type { Principal } from '@tidemark/auth';
import type { Steps } from '@tidemark/fairness';
import { type Budget, type Limits, type Request, type Response, spanOf } from '@tidemark/http';
import { userName } from '@tidemark/nats';
import type { Metrics, Tracer } from '@tidemark/telemetry';
import type { RunStep } from './walk.ts';

export interface ReadsOptions {
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  readonly limits: Limits;
  /** Where the steps of all reads wait, also those of gateways. */
  readonly steps: Steps;
  /** Most requests of one user at once. */
  readonly readsPerUserMax: number;
  /** Most requests of all users at once. */
  readonly readsMax: number;
  /** Most bytes that the pages of all users take. */
  readonly pageBytesMax: number;
}

/** Why a signal is aborted: made once, because each answer ends so and the trace of an error costs as much as a step. */
const GONE = new Error('The client is gone.');

/** A request for history, and what its answer is read with. */
export interface Exchange {
  readonly request: Request;
  readonly response: Response;
  readonly principal: Principal;
}

/** An exchange that has its place. */
export interface Read extends Exchange {
  /** Runs a step of the reading when its user is next. Throws once the client is gone. */
  readonly runStep: RunStep;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
  /** Gives place and memory back, for a request that only waits from then on. */
  readonly leavePlace: () => void;
  /**
   * Takes memory, until the answer has been taken or its client is gone.
   *
   * @throws TidemarkError `limit_exceeded`
   */
  readonly takeBytes: (bytes: number) => void;
}

/**
 * Reads: the requests for history that are under way. Their number has limits, and their steps share one queue
 * with the requests of gateways: users get equal shares of the time, and so do the requests of one user.
 *
 * A request keeps its place until its answer has been taken or its client is gone, and until its work has
 * ended as well: a client that leaves and asks again gets no further work done beside the old.
 */
export class Reads {
  readonly #tracer: Tracer;
  readonly #places: Budget;
  readonly #bytes: Budget;
  readonly #durations;
  readonly #steps: Steps;
  /** Requests that have been answered or are under way. */
  served = 0;

  constructor(options: ReadsOptions) {
    const { metrics, tracer, limits, steps, readsMax, readsPerUserMax, pageBytesMax } = options;
    this.#tracer = tracer;
    this.#steps = steps;
    this.#places = limits.budget('reads', {
      max: readsMax,
      perUser: { limit: 'reads_per_user', max: readsPerUserMax },
      of: 'history requests',
    });
    this.#bytes = limits.budget('page_bytes', { max: pageBytesMax, of: 'bytes of pages' });
    this.#durations = metrics.histogram(
      'history_query_seconds',
      'Duration of history queries, from the request to the whole answer.',
      { buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10], labels: ['query'] },
    );
    metrics.gauge(
      'history_steps_waiting',
      'Steps of reads that wait, of history requests and of gateways.',
      () => steps.waiting,
    );
  }

  /**
   * Answers a request.
   *
   * @param query names the kind of request in metrics and traces
   * @throws TidemarkError `limit_exceeded`, or what the answer throws
   */
  async serve(query: string, exchange: Exchange, answer: (read: Read) => Promise<void>) {
    const { response, principal } = exchange;
    this.served++;
    const place = this.#places.open(principal.subject);
    place.take(1);
    const memory = this.#bytes.open(principal.subject);
    const takeBytes = (bytes: number) => memory.take(bytes);
    const release = () => {
      place.release();
      memory.release();
    };
    const leaving = new AbortController();
    response.once('close', () => leaving.abort(GONE));
    if (response.closed) leaving.abort(GONE);
    const { signal } = leaving;
    const flow = { user: userName(principal.subject), connection: response };
    const runStep: RunStep = (step) => this.#steps.run(step, { flow, signal });
    const observe = this.#durations.startTimer({ query });
    let ended = false;
    // A wait is no part of the duration of its query.
    const end = () => {
      if (!ended) observe();
      ended = true;
    };
    const leavePlace = () => {
      release();
      end();
    };
    try {
      await this.#tracer.within(`history ${query}`, { parent: spanOf(response) }, async () => {
        try {
          await answer({ ...exchange, runStep, signal, leavePlace, takeBytes });
        } catch (error) {
          // Nobody is there to be told.
          if (!signal.aborted) throw error;
        }
      });
    } finally {
      end();
      // An answer that its client does not take still occupies memory.
      if (response.closed) release();
      else response.once('close', release);
    }
  }
}
