import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Percentiles, percentiles } from '../report/percentiles.ts';
import { nowUs } from '../wire/clock.ts';
import { layOut, stamp } from '../wire/event-layout.ts';
import { topicOf } from '../wire/topics.ts';
import type { PublishPlan, PublishReport } from './stream-publisher.ts';

export interface HttpPlan extends PublishPlan {
  readonly url: string;
  readonly token: string;
}

export interface HttpReport extends PublishReport {
  readonly lateMaxMs: number;
  /** From the post to its answer. */
  readonly answered: Percentiles;
}

/** Posts each event to ingest at its due time, whether earlier ones have been answered or not. */
export async function post(plan: HttpPlan): Promise<HttpReport> {
  const { topics, events, eventBytes, perSecond } = plan;
  const agent = new Agent({ keepAlive: true, noDelay: true });
  const topic = topicOf(topics, 0, 0);
  const template = layOut(topic, eventBytes);
  const answers: Promise<Answer>[] = [];
  const lateUs: number[] = [];
  const startedUs = nowUs();
  for (let index = 0; index < events; index++) {
    const dueUs = startedUs + (index * 1_000_000) / perSecond;
    while (nowUs() < dueUs) await sleep(1);
    // The timer's delay in this process is not a latency of the system, so it is reported separately.
    const timeUs = nowUs();
    lateUs.push(timeUs - dueUs);
    answers.push(send(plan, agent, stamp(template, { counter: index + 1, timeUs })));
  }
  const all = await Promise.all(answers);
  agent.destroy();
  return {
    startedUs,
    endedUs: nowUs(),
    lastSequence: Math.max(...all.map(({ sequence }) => sequence)),
    lateMaxMs: Math.max(...lateUs) / 1000,
    answered: percentiles(all.map(({ us }) => us)),
  };
}

interface Answer {
  /** The sequence of the stored event. */
  readonly sequence: number;
  /** From the post to the end of the answer. */
  readonly us: number;
}

function send({ url, token }: HttpPlan, agent: Agent, event: Buffer): Promise<Answer> {
  const startedUs = nowUs();
  return new Promise((resolve, reject) => {
    const posted = request(
      `${url}/v1/events`,
      {
        agent,
        method: 'POST',
        headers: {
          Authorization: `Bearer ${token}`,
          'Content-Type': 'application/cloudevents+json',
          'Content-Length': event.length,
        },
      },
      async (response) => {
        let text = '';
        for await (const chunk of response.setEncoding('utf8')) text += chunk;
        const us = nowUs() - startedUs;
        if (response.statusCode !== 201)
          reject(new Error(`ingest: ${response.statusCode} ${text}`));
        else resolve({ sequence: Number(JSON.parse(text).cursor.split('-')[1]), us });
      },
    );
    posted.once('error', reject);
    posted.end(event);
  });
}
