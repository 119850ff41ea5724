import { setTimeout as sleep } from 'node:timers/promises';
import { readKernelMemory } from '../../../capacity/kernel-memory.ts';
import { verify } from '../../system/measurement.ts';
import { type ComparisonCase, circumstances, EVENT_BYTES } from './comparison-case.ts';

const CLIENTS = 10_000;
/** Longer than a heartbeat interval of the gateway, and than half a ping interval of the others. */
const SETTLE_MS = 20_000;
const KIB = 1024;

export const idle: ComparisonCase = {
  name: 'idle',
  title: 'idle, 10,000 connections, each with its own topic',
  method: `Growth of the resident memory of what serves the clients, from before the first handshake to ${SETTLE_MS / 1000} s after the last, through the ${CLIENTS} connections. The kernel's part is the growth of its objects and TCP buffers through the two ends of each connection, which are both on this machine.`,
  rows: [
    { value: 'kibEach', text: 'resident memory for each connection', unit: 'KiB', better: 'lower' },
    { value: 'kernelKibEach', text: 'the kernel adds', unit: 'KiB' },
  ],
  sockets: CLIENTS,
  needs: { recovery: false },
  once: true,
  async run(arena, { quick }) {
    const clients = quick ? CLIENTS / 5 : CLIENTS;
    const topics = { prefix: 'user', audiences: clients, topicsEach: 1 };
    const kernelBefore = readKernelMemory();
    const before = arena.residentBytes();
    const used = arena.measure();
    const opened = await arena.load.call(
      'open',
      arena.clients({ clients, topics, eventBytes: EVENT_BYTES }),
    );
    await sleep(quick ? SETTLE_MS / 10 : SETTLE_MS);
    verify('opening', opened.faults);
    const after = arena.residentBytes();
    const kernelAfter = readKernelMemory();
    const kernel =
      kernelBefore && kernelAfter
        ? kernelAfter.slabBytes -
          kernelBefore.slabBytes +
          kernelAfter.tcpBytes -
          kernelBefore.tcpBytes
        : Number.NaN;
    return {
      kibEach: (after - before) / KIB / clients,
      kernelKibEach: kernel / KIB / clients / 2,
      ...circumstances(used()),
    };
  },
};
