import { readPerProcess } from '../system/gateway-metrics.ts';
import { Stage } from '../system/stage.ts';
import type { BenchCase, RunOptions, Values } from './bench-case.ts';
import { measureFanOut } from './fan-out.ts';
import { CLIENTS, NARROW_PLAN, observeNarrow } from './narrow.ts';

const COUNTS = [1, 2] as const;

export const processes: BenchCase = {
  name: 'processes',
  title: 'one and two gateway processes on one port',
  sockets: CLIENTS,
  method: `The cases fan-out-ws and narrow with TIDEMARK_GATEWAY_PROCESSES=1 and =2, one after the other in one run. CPU time is that of all processes of the gateway, their parent included. NATS, publisher and load are on the same cores, so deliveries per second grow only as far as these leave some; and a fan-out has smaller batches where each process has half of the clients. The spread is the part of ${CLIENTS} connections that the process with the most has.`,
  targets: [
    {
      value: 'narrowCpuRatio',
      text: "of one process' deliveries per CPU s, narrow",
      atLeast: 0.8,
      unit: 'x',
    },
    { value: 'spreadMax', text: 'of the connections in one process', atMost: 0.55, unit: '' },
  ],
  async run(options) {
    const values: Record<string, number> = {};
    for (const count of COUNTS) {
      const env = { TIDEMARK_GATEWAY_PROCESSES: String(count) };
      const fanOut = await measureFanOut('websocket', options, { env });
      const narrow = await measureNarrow(options, env);
      for (const [name, of] of Object.entries({ fanOut, narrow })) {
        for (const what of ['deliveriesPerSecond', 'deliveriesPerCpuSecond', 'cores'] as const) {
          values[`${name}${capital(what)}${count}`] = of[what] ?? Number.NaN;
        }
      }
      if (narrow.spreadMax !== undefined) values.spreadMax = narrow.spreadMax;
    }
    const ratio = (name: string) => (values[`${name}2`] ?? 0) / (values[`${name}1`] ?? 0);
    return {
      ...values,
      fanOutCpuRatio: ratio('fanOutDeliveriesPerCpuSecond'),
      fanOutRatio: ratio('fanOutDeliveriesPerSecond'),
      narrowCpuRatio: ratio('narrowDeliveriesPerCpuSecond'),
      narrowRatio: ratio('narrowDeliveriesPerSecond'),
    };
  },
};

async function measureNarrow(
  options: RunOptions,
  env: Readonly<Record<string, string>>,
): Promise<Values> {
  const rounds = options.quick ? 5 : 20;
  const deliveries = CLIENTS * rounds;
  const stage = await Stage.open(options);
  try {
    const gateway = await stage.startGateway(env);
    const publisher = await stage.startPublisher();
    let spread: number[] = [];
    const served = await observeNarrow(stage, options, gateway, rounds, async () => {
      spread = await readPerProcess(gateway.url, 'tidemark_gateway_connections');
      return publisher.call('publish', { ...NARROW_PLAN, events: deliveries });
    });
    return {
      deliveriesPerSecond: deliveries / served.wallSeconds,
      deliveriesPerCpuSecond: deliveries / served.cpuSeconds,
      cores: served.cpuSeconds / served.wallSeconds,
      ...(spread.length > 1 && { spreadMax: Math.max(...spread) / CLIENTS }),
    };
  } finally {
    await stage.close();
  }
}

function capital(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
