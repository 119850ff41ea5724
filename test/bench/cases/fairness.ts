import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeToken } from '../../support/services.ts';
import type { AttackerCommands } from '../fairness/attacker.ts';
import type { OrdinaryCommands, Report } from '../fairness/ordinary.ts';
import {
  type Attack,
  IDLE_TOPICS,
  OPERATIONS,
  PAST_EVENTS,
  PAST_TOPICS,
  type Services,
} from '../fairness/plan.ts';
import type { Worker } from '../system/commands.ts';
import { loopBlockMaxMs, readMetrics } from '../system/gateway-metrics.ts';
import { verify } from '../system/measurement.ts';
import { cpuMs } from '../system/process-figures.ts';
import { Stage } from '../system/stage.ts';
import type { BenchCase, Values } from './bench-case.ts';

const USERS = 200;
const SECONDS = 10;
const EVENT_BYTES = 300;
/** Smaller than the past, so that catch-ups are cold. */
const TAIL_EVENTS_MAX = '2000';
/** No attack, but one core of the machine is busy with something else. */
const CONTROL = 'busyCore';
/** Until the code is compiled, everything takes longer. */
const WARM_UP_SECONDS = 5;
/** Time for what an attack has left behind. */
const CALM_MS = 2000;

export const fairness: BenchCase = {
  name: 'fairness',
  title: 'one attacker at its limits beside 200 ordinary users',
  sockets: USERS + 500,
  method: `${USERS} users with a WebSocket each publish (50 a second over HTTP), receive what they published, subscribe (20 a second) and catch up on ${PAST_EVENTS} events older than the tail (10 a second), at a fixed rate. They do so for ${WARM_UP_SECONDS} s to warm up, for ${SECONDS} s alone, and for ${SECONDS} s beside each attack. Attackers have tokens for topics of their own and the default limits. A figure is a p99 divided by the p99 alone, the longest time for which a loop of gateway, ingest or replay was held, and what each process used of a core. Attackers, users, services and NATS share the machine; attackers run only while a core is idle, as if they had another one. ${CONTROL} is no attack but a program that occupies one core: what it does to a figure, a service that works does too.`,
  targets: [
    ...OPERATIONS.map((operation) => ({
      value: operation,
      text: `p99 of ${operation} beside the worst attack`,
      atMost: 2,
      unit: 'x',
    })),
    { value: 'loopMaxMs', text: 'longest hold of a loop', atMost: 50, unit: 'ms' },
  ],
  async run({ attacks, quick }) {
    const stage = await Stage.open({ ordinaryLimits: true });
    try {
      const replay = await stage.startReplay();
      await publishPast(stage);
      const gateway = await stage.startGateway({
        TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: TAIL_EVENTS_MAX,
      });
      const ingest = await stage.startIngest();
      const services = { gateway: gateway.url, ingest: ingest.url, replay: replay.url };
      const pids = {
        gateway: gateway.pid,
        ingest: ingest.pid,
        replay: replay.pid,
        nats: stage.nats.pid,
      };
      const observe = (seconds: number) => observeUsers({ ordinary, services, pids, seconds });
      const ordinary = await openUsers(stage, services);
      const attacker = await stage.startWorker<AttackerCommands>(
        new URL('../fairness/attacker.ts', import.meta.url),
      );
      const seconds = quick ? 3 : SECONDS;
      await ordinary.call('work', { seconds: WARM_UP_SECONDS });
      const alone = await observe(seconds);
      verify('alone', alone.faults);
      const values: Record<string, number> = {
        ...p99s('alone', alone.report),
        ...coresOf('alone', alone),
      };
      const core = spawn(process.execPath, ['-e', 'for (;;);']);
      const control = await observe(seconds);
      core.kill('SIGKILL');
      Object.assign(values, ratios(CONTROL, control, alone), p99s(CONTROL, control.report));
      for (const attack of attacks) {
        await attacker.call('begin', { attack, services, ...(await attackerTokens()) });
        await sleep(500);
        const beside = await observe(seconds);
        await attacker.call('end', undefined);
        await sleep(CALM_MS);
        for (const fault of beside.faults) console.log(`  ${attack}: ${fault}`);
        Object.assign(values, ratios(attack, beside, alone), p99s(attack, beside.report));
        Object.assign(values, coresOf(attack, beside));
      }
      return { ...values, ...worst(values, attacks) };
    } finally {
      await stage.close();
    }
  },
};

interface Observed {
  readonly report: Report;
  readonly faults: readonly string[];
  readonly loopMaxMs: number;
  /** What each process used of a core. It does not depend on what else the machine does. */
  readonly cores: Readonly<Record<string, number>>;
}

async function observeUsers(of: {
  ordinary: Worker<OrdinaryCommands>;
  services: Services;
  pids: Readonly<Record<string, number>>;
  seconds: number;
}): Promise<Observed> {
  const { ordinary, services, pids, seconds } = of;
  const loops = () =>
    Promise.all(Object.values(services).map(async (url) => loopBlockMaxMs(await readMetrics(url))));
  const usedMs = () => Object.entries(pids).map(([name, pid]) => [name, cpuMs(pid)] as const);
  await loops();
  const before = new Map(usedMs());
  const startMs = performance.now();
  const worked = await ordinary.call('work', { seconds });
  const tookMs = performance.now() - startMs;
  const cores = usedMs().map(([name, ms]) => [name, (ms - (before.get(name) ?? 0)) / tookMs]);
  return {
    ...worked,
    loopMaxMs: Math.max(...(await loops())),
    cores: Object.fromEntries(cores),
  };
}

function coresOf(when: string, { cores }: Observed): Values {
  return Object.fromEntries(
    Object.entries(cores).map(([name, used]) => [`${when}.${name}Cores`, used]),
  );
}

function ratios(attack: Attack | typeof CONTROL, beside: Observed, alone: Observed): Values {
  const named = OPERATIONS.map((operation) => {
    const ratio = beside.report[operation].p99Ms / alone.report[operation].p99Ms;
    return [`${attack}.${operation}`, ratio];
  });
  return { ...Object.fromEntries(named), [`${attack}.loopMaxMs`]: beside.loopMaxMs };
}

function p99s(when: string, report: Report): Values {
  return Object.fromEntries(
    OPERATIONS.map((operation) => [`${when}.${operation}Ms`, report[operation].p99Ms]),
  );
}

function worst(values: Values, attacks: readonly Attack[]): Values {
  return Object.fromEntries(
    [...OPERATIONS, 'loopMaxMs'].map((name) => {
      return [name, Math.max(...attacks.map((attack) => values[`${attack}.${name}`] ?? 0))];
    }),
  );
}

async function openUsers(stage: Stage, services: Services): Promise<Worker<OrdinaryCommands>> {
  const file = new URL('../fairness/ordinary.ts', import.meta.url);
  const ordinary = await stage.startWorker<OrdinaryCommands>(file);
  const tokens = await Promise.all(
    Array.from({ length: USERS }, (_, index) =>
      makeToken('subscribe:fair.> publish:fair.>', `user-${index}`),
    ),
  );
  await ordinary.call('open', { services, tokens, start: stage.cursor(0) });
  return ordinary;
}

async function attackerTokens() {
  const scope = 'subscribe:m.> publish:m.> history:m.>';
  const users = ['m1', 'm2', 'm3', 'm4'];
  const tokens = await Promise.all(users.map((user) => makeToken(scope, user)));
  return { tokens, reader: await makeToken('subscribe:m.>', 'm1') };
}

/**
 * What ordinary users catch up on, and what attackers read: topics below `m` with as many events, and many with one
 * event each.
 */
async function publishPast(stage: Stage): Promise<void> {
  const publisher = await stage.startPublisher();
  const many = { prefix: 'm.many', audiences: 1, topicsEach: IDLE_TOPICS };
  const event = { eventBytes: EVENT_BYTES, perSecond: 0 };
  await publisher.call('publish', { topics: many, events: IDLE_TOPICS, ...event });
  const events = PAST_TOPICS * PAST_EVENTS;
  for (const prefix of ['fair.past', 'm']) {
    const topics = { prefix, audiences: 1, topicsEach: PAST_TOPICS };
    await publisher.call('publish', { topics, events, ...event });
  }
}
