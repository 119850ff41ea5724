import { setTimeout as sleep } from 'node:timers/promises';
import { verify } from '../../system/measurement.ts';
import { type ComparisonCase, circumstances, EVENT_BYTES } from './comparison-case.ts';

const CLIENTS = 2000;
const TOPICS_EACH = 2;
const MISSED = 100;
const PUBLISHERS = 4;
const BATCH = 100;
const TIMEOUT_MS = 120_000;
/** Until a server has seen that its clients are gone. */
const CUT_MS = 2000;

export const storm: ComparisonCase = {
  name: 'storm',
  title: `storm, 2,000 clients with 2 topics return to ${MISSED} missed events each`,
  method: `${CLIENTS} clients with ${TOPICS_EACH} topics each have an event of each and are cut off. ${MISSED} events for each are published. Then they connect anew, at most 256 handshakes at once, and come back where they were; the time from the first connect until the last client has all of its ${MISSED} events, in order.`,
  rows: [
    { value: 'seconds', text: 'until all are complete', unit: 's', better: 'lower' },
    { value: 'wholeSeconds', text: 'CPU s of the whole system', unit: 's', better: 'lower' },
  ],
  sockets: CLIENTS,
  needs: { recovery: true },
  async run(arena, { quick }) {
    const { load, publisher, system } = arena;
    const clients = quick ? CLIENTS / 5 : CLIENTS;
    const topics = { prefix: 'storm', audiences: clients, topicsEach: TOPICS_EACH };
    const plan = arena.clients({ clients, topics, eventBytes: EVENT_BYTES });
    const publish = (eventsEach: number) => {
      return publisher.call('publishRequests', {
        target: system.target,
        topics,
        eventBytes: EVENT_BYTES,
        publishers: PUBLISHERS,
        batch: BATCH,
        eventsEach,
      });
    };
    verify('opening', (await load.call('open', plan)).faults);
    await load.call('expect', { events: TOPICS_EACH });
    await publish(TOPICS_EACH);
    const first = await load.call('received', { timeoutMs: TIMEOUT_MS });
    verify('receiving', first.faults);
    await load.call('cut', {});
    await sleep(CUT_MS);
    // The clients that come back count from 1 again.
    await publisher.call('restartRequests', {});
    await publish(MISSED);
    await system.settled();
    const used = arena.measure();
    const opened = await load.call('open', {
      ...plan,
      back: true,
      missed: MISSED,
      until: 'completeUs',
    });
    const spent = used();
    verify('coming back', opened.faults);
    return {
      seconds: (opened.lastCompleteUs - opened.startedUs) / 1e6,
      handshakeSeconds: (opened.lastOpenedUs - opened.startedUs) / 1e6,
      wholeSeconds: spent.whole,
      ...circumstances(spent),
    };
  },
};
