import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
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
}

/** Posts each event to ingest at its due time, whether earlier ones have been answered or not. */
export async function post(plan: HttpPlan): Promise<HttpReport> {
  const { topics, events, eventBytes, perSecond } = plan;
  const agent = new Agent({ keepAlive: true, noDelay: true });
  const topic = topicOf(topics, 0, 0);
  const template = layOut(topic, eventBytes);
  const answers: Promise<number>[] = [];
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
  const sequences = await Promise.all(answers);
  agent.destroy();
  return {
    startedUs,
    endedUs: nowUs(),
    lastSequence: Math.max(...sequences),
    lateMaxMs: Math.max(...lateUs) / 1000,
  };
}

/** @returns the sequence of the stored event */
function send({ url, token }: HttpPlan, agent: Agent, event: Buffer): Promise<number> {
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
        if (response.statusCode !== 201)
          reject(new Error(`ingest: ${response.statusCode} ${text}`));
        else resolve(Number(JSON.parse(text).cursor.split('-')[1]));
      },
    );
    posted.once('error', reject);
    posted.end(event);
  });
}
