import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeToken } from '../../support/services.ts';
import { LatencyHistogram } from '../load/latency-histogram.ts';
import { serveCommands } from '../system/commands.ts';
import { ITEMS, userName } from './population.ts';

const SOCKETS = 64;
const FAULTS_MAX = 5;

export interface CountsPlan {
  readonly url: string;
  readonly users: number;
  readonly requests: number;
  /** Open loop: each request is due at its own time, late or not. */
  readonly perSecond: number;
}

/** Asks for the counts of users in no order, and checks each answer. Latencies begin when a request was due. */
async function ask({ url, users, requests, perSecond }: CountsPlan) {
  const tokens: string[] = [];
  for (let index = 0; index < requests; index++) {
    const user = (index * 7919) % users;
    tokens.push(await makeToken('inbox:> subscribe:news.>', userName(user), 24 * 3600));
  }
  const agent = new Agent({ keepAlive: true, noDelay: true, maxSockets: SOCKETS });
  const histogram = new LatencyHistogram();
  const faults: string[] = [];
  const answers: Promise<void>[] = [];
  const startMs = performance.now();
  for (const [index, token] of tokens.entries()) {
    const dueMs = startMs + (1000 * index) / perSecond;
    while (performance.now() < dueMs) await sleep(1);
    answers.push(
      askOnce(`${url}/v1/inbox/counts`, token, agent).then((text) => {
        histogram.add((performance.now() - dueMs) * 1000);
        const isRight = text.startsWith(`{"unseen":${ITEMS},"unread":${ITEMS},"more":false`);
        if (!isRight && faults.length < FAULTS_MAX) faults.push(text.slice(0, 200));
      }),
    );
  }
  await Promise.all(answers);
  agent.destroy();
  return { ...histogram.summary(), faults };
}

function askOnce(url: string, token: string, agent: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { Authorization: `Bearer ${token}` };
    const asked = request(url, { agent, headers }, async (response) => {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      resolve(text);
    });
    asked.once('error', reject);
    asked.end();
  });
}

const commands = { ask };
export type CountsLoadCommands = typeof commands;

serveCommands(commands);
