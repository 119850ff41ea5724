import { readFileSync } from 'node:fs';

const PAGE_BYTES = 4096;

/** What the kernel holds for all sockets and files of the machine. */
export interface KernelMemory {
  /** Its objects: sockets, files, directory entries and everything else. */
  readonly slabBytes: number;
  /** The buffers of all TCP sockets. */
  readonly tcpBytes: number;
}

/** @returns `undefined` where the system does not tell */
export function readKernelMemory(): KernelMemory | undefined {
  try {
    return parseKernelMemory(
      readFileSync('/proc/meminfo', 'utf8'),
      readFileSync('/proc/net/sockstat', 'utf8'),
    );
  } catch {
    return undefined;
  }
}

export function parseKernelMemory(meminfo: string, sockstat: string): KernelMemory | undefined {
  const slabKib = /^Slab:\s+(\d+) kB/m.exec(meminfo)?.[1];
  const tcpPages = /^TCP: .*\bmem (\d+)/m.exec(sockstat)?.[1];
  if (slabKib === undefined || tcpPages === undefined) return undefined;
  return { slabBytes: Number(slabKib) * 1024, tcpBytes: Number(tcpPages) * PAGE_BYTES };
}

/**
 * The bytes in the send queues of the sockets of a local port, and in the receive queues of their peers.
 *
 * @param table the text of `/proc/net/tcp`
 */
export function queuedBytes(table: string, port: number): { sent: number; received: number } {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  let [sent, received] = [0, 0];
  for (const line of table.split('\n').slice(1)) {
    const [, local, remote, , queues] = line.trim().split(/\s+/);
    const [tx = '0', rx = '0'] = queues?.split(':') ?? [];
    if (local?.endsWith(`:${hexPort}`)) sent += Number.parseInt(tx, 16);
    else if (remote?.endsWith(`:${hexPort}`)) received += Number.parseInt(rx, 16);
  }
  return { sent, received };
}
