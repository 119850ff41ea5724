import { setTimeout as sleep } from 'node:timers/promises';
import { LatencyHistogram, type LatencySummary } from '../load/latency-histogram.ts';
import { nowUs } from '../wire/clock.ts';
import { layOutText, stampText, type TextTemplate } from '../wire/event-layout.ts';
import { seriesCounter } from '../wire/series.ts';
import { type TopicPlan, topicOf } from '../wire/topics.ts';
import { HttpConnection } from './http-connection.ts';
import { encodeRequest, faultIn, type HttpTarget, type TopicEvent } from './http-target.ts';

interface LoadPlan {
  readonly target: HttpTarget;
  readonly topics: TopicPlan;
  readonly eventBytes: number;
  /** Publishers, each with a connection, an own part of the audiences, and one request at a time. */
  readonly publishers: number;
  /** Events of a request. */
  readonly batch: number;
}

/** Publishes so many events for each audience, as fast as the answers come. */
export interface AmountPlan extends LoadPlan {
  readonly eventsEach: number;
  /** Whether only as many events are sent as `allow` says. */
  readonly onlyAllowed?: boolean;
}

/** Publishes as fast as the answers come, for so long. */
export interface TimePlan extends LoadPlan {
  readonly seconds: number;
  /** Between an answer and the next request of a publisher; 0 if absent. */
  readonly pauseMs?: number;
}

/** Sends so many requests in a second, each at its own time, whether earlier ones are answered or not. */
export interface RatePlan extends LoadPlan {
  readonly perSecond: number;
  readonly requests: number;
}

export interface RequestReport {
  readonly startedUs: number;
  readonly endedUs: number;
  /** All of them were acknowledged. */
  readonly events: number;
  /** From each request to its answer. */
  readonly latency: LatencySummary;
  /** By how much the latest request of a plan with a rate was late. */
  readonly lateMaxMs: number;
  readonly cpuMs: number;
}

/** Publishes over HTTP by the API of any system. Events have series (`wire/series.ts`). */
export class RequestLoad {
  readonly #counters = new Map<number, number>();
  readonly #templates = new Map<string, TextTemplate>();
  #allowed = 0;
  #waiting: (() => void)[] = [];
  readonly #latency = new LatencyHistogram();
  #lateMaxUs = 0;
  #events = 0;

  /** Starts the counters again at 1. */
  restart(): void {
    this.#counters.clear();
  }

  /** @param events how many a plan with `onlyAllowed` may have sent from its begin on */
  allow(events: number): void {
    this.#allowed = events;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  publish(plan: AmountPlan): Promise<RequestReport> {
    let begun = 0;
    this.#allowed = plan.onlyAllowed ? 0 : Number.POSITIVE_INFINITY;
    return this.#run(plan, (publisher) => {
      const audiences = audiencesOf(plan, publisher);
      const { audiences: all } = plan.topics;
      // Where there is only one audience, the publishers share its events.
      const share = all === 1 ? plan.eventsEach / plan.publishers : plan.eventsEach;
      let left = audiences.length * share;
      return async () => {
        const count = Math.min(plan.batch, left);
        left -= count;
        begun += count;
        const end = begun;
        while (end > this.#allowed) {
          await new Promise<void>((resolve) => this.#waiting.push(resolve));
        }
        return count;
      };
    });
  }

  flood(plan: TimePlan): Promise<RequestReport> {
    const { seconds, batch, pauseMs = 0 } = plan;
    const endUs = nowUs() + seconds * 1e6;
    return this.#run(plan, () => {
      let isFirst = true;
      return async () => {
        if (pauseMs > 0 && !isFirst) await sleep(pauseMs);
        isFirst = false;
        return nowUs() < endUs ? batch : 0;
      };
    });
  }

  atRate(plan: RatePlan): Promise<RequestReport> {
    const { perSecond, requests } = plan;
    let next = 0;
    const startUs = nowUs();
    return this.#run(plan, () => async () => {
      const index = next++;
      if (index >= requests) return 0;
      const dueUs = startUs + (index * 1e6) / perSecond;
      for (let us = dueUs - nowUs(); us > 0; us = dueUs - nowUs()) {
        await sleep(Math.max(1, us / 1000 - 1));
      }
      // Where no publisher was free, or the timer was late, it is no latency of the system.
      this.#lateMaxUs = Math.max(this.#lateMaxUs, nowUs() - dueUs);
      return plan.batch;
    });
  }

  /** @param schedule tells how many events the next request of a publisher has; 0 ends it */
  async #run(
    plan: LoadPlan,
    schedule: (publisher: number) => () => number | Promise<number>,
  ): Promise<RequestReport> {
    const { host, port } = plan.target;
    const connections = await Promise.all(
      Array.from({ length: plan.publishers }, () => HttpConnection.open(host, port)),
    );
    this.#latency.reset();
    this.#lateMaxUs = 0;
    this.#events = 0;
    const cpuBefore = process.cpuUsage();
    const startedUs = nowUs();
    try {
      await Promise.all(
        connections.map((connection, publisher) => {
          return this.#work(plan, publisher, connection, schedule(publisher));
        }),
      );
    } finally {
      for (const connection of connections) connection.close();
    }
    const { user, system } = process.cpuUsage(cpuBefore);
    return {
      startedUs,
      endedUs: nowUs(),
      events: this.#events,
      latency: this.#latency.summary(),
      lateMaxMs: this.#lateMaxUs / 1000,
      cpuMs: (user + system) / 1000,
    };
  }

  async #work(
    plan: LoadPlan,
    publisher: number,
    connection: HttpConnection,
    next: () => number | Promise<number>,
  ): Promise<void> {
    const audiences = audiencesOf(plan, publisher);
    let index = 0;
    for (;;) {
      const count = await next();
      if (count <= 0) return;
      const events: TopicEvent[] = [];
      const sentUs = nowUs();
      for (let event = 0; event < count; event++, index++) {
        const audience = audiences[index % audiences.length] ?? 0;
        const round = Math.floor(index / audiences.length);
        events.push(this.#nextEvent(plan, { publisher, audience, round, timeUs: sentUs }));
      }
      const answer = await connection.send(encodeRequest(plan.target, events));
      this.#latency.add(nowUs() - sentUs);
      const fault = faultIn(plan.target, answer, count);
      if (fault) throw new Error(fault);
      this.#events += count;
    }
  }

  #nextEvent(
    { topics, eventBytes }: LoadPlan,
    at: { publisher: number; audience: number; round: number; timeUs: number },
  ): TopicEvent {
    const index = at.round % topics.topicsEach;
    const topic = topicOf(topics, at.audience, index);
    let template = this.#templates.get(topic);
    if (!template) {
      template = layOutText(topic, eventBytes);
      this.#templates.set(topic, template);
    }
    const series = at.publisher * topics.topicsEach + index;
    const key = at.audience * 1000 + series;
    const number = (this.#counters.get(key) ?? 0) + 1;
    this.#counters.set(key, number);
    const counter = seriesCounter(series, number);
    return { topic, json: stampText(template, { counter, timeUs: at.timeUs }) };
  }
}

/** The audiences that a publisher serves. Where there is only one, all serve it. */
function audiencesOf({ topics, publishers }: LoadPlan, publisher: number): number[] {
  if (topics.audiences === 1) return [0];
  const all = Array.from({ length: topics.audiences }, (_, audience) => audience);
  return all.filter((audience) => audience % publishers === publisher);
}
