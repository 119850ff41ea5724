import { expect, test } from 'vitest';
import { TRANSPORTS } from '../support/clients.ts';
import { ids, metric, series, startSystem, storeArchived, untilHead } from '../support/system.ts';
import { until } from '../support/until.ts';

const EVENTS = 3000;

for (const transport of TRANSPORTS) {
  test(`tail fill: a gateway starts again: clients that return are served from its tail (${transport})`, async () => {
    const system = await startSystem();
    try {
      const stored = await storeArchived(system, series('fill.all', 1, EVENTS));
      await untilHead(system);
      const { gateway, replay } = system;
      await replay.kill();
      await gateway.restart();
      // Ready means that the tail is filled.
      expect(await metric(gateway, 'gateway_tail_events')).toBe(EVENTS);
      expect(await metric(gateway, 'gateway_feed_events_total')).toBe(0);
      const after = stored[999]?.cursor ?? '';
      const client = system.listen(transport, { topics: 'fill.*', after });
      await until(() => client.live, 'live');
      expect(client.ids).toEqual(ids(1001, EVENTS));
      expect(client.gaps).toEqual([]);
      expect(await metric(gateway, 'gateway_cold_reads_total')).toBe(0);
      expect(await metric(gateway, 'gateway_catch_up_tail_events_total')).toBe(EVENTS - 1000);
    } finally {
      await system.stop();
    }
  });
}
