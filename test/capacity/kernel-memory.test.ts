import { expect, test } from 'vitest';
import { parseKernelMemory, queuedBytes } from './kernel-memory.ts';

const SOCKSTAT =
  'sockets: used 44\nTCP: inuse 8 orphan 0 tw 277 alloc 8 mem 120\nUDP: inuse 0 mem 0\n';

test('kernel memory: slab and buffers of TCP', () => {
  const memory = parseKernelMemory('MemFree: 1 kB\nSlab:             638644 kB\n', SOCKSTAT);
  expect(memory).toEqual({ slabBytes: 638_644 * 1024, tcpBytes: 120 * 4096 });
});

test('kernel memory: a system that does not tell', () => {
  expect(parseKernelMemory('', SOCKSTAT)).toBeUndefined();
  expect(parseKernelMemory('Slab: 1 kB\n', 'TCP: inuse 8\n')).toBeUndefined();
});

test('queued bytes: what the port sends and what its peers have not read', () => {
  const line = (local: string, remote: string, queues: string) =>
    `   1: ${local} ${remote} 01 ${queues} 00:00000000 00000000 0 0 1 1`;
  const table = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt',
    line('0100007F:1F90', '0100007F:C350', '00001000:00000001'),
    line('0100007F:1F90', '0100007F:C351', '00000010:00000000'),
    line('0100007F:C350', '0100007F:1F90', '00000000:00000200'),
    line('0100007F:0050', '0100007F:C352', '0000FFFF:00000000'),
  ].join('\n');
  expect(queuedBytes(table, 8080)).toEqual({ sent: 0x1010, received: 0x200 });
});
