import { messageOf } from '../base/errors.ts';
import { wait } from '../base/wait.ts';
import type { Api } from '../http/api.ts';
import { formatCount } from '../output/format.ts';
import { type Finding, fault, note, ok, skipped } from './finding.ts';

const AGAIN_MS = 1000;

/** Looks whether the archive follows the log. */
export async function checkArchive(api: Api, signal: AbortSignal): Promise<Finding> {
  try {
    const first = await behind(api);
    if (first === undefined) {
      const advice =
        'Replay has another NATS than the gateway, or has not seen the end of the log that it lost.';
      return fault('archive', 'Replay has another log than the gateway.', advice);
    }
    if (first === 0) return ok('archive', 'It has everything that is stored.');
    await wait(AGAIN_MS, signal);
    const second = (await behind(api)) ?? first;
    const text = `It is ${formatCount(second)} events behind`;
    if (second < first) return ok('archive', `${text}, and gets nearer.`);
    const advice =
      'Under load that may be so for a moment. Its log and its disk tell why it is slow.';
    return note('archive', `${text}, and gets no nearer.`, advice);
  } catch (error) {
    signal.throwIfAborted();
    return skipped('archive', messageOf(error), 'The token needs history: or subscribe:.');
  }
}

/** Events that the archive lacks at the end; `undefined` where the logs differ. */
async function behind(api: Api): Promise<number | undefined> {
  // The archive first: what is stored in between must not look as if it were ahead.
  const archive = await headOf(api, 'replay');
  const log = await headOf(api, 'gateway');
  if (archive.epoch !== log.epoch) return undefined;
  return Math.max(0, log.sequence - archive.sequence);
}

async function headOf(api: Api, service: 'gateway' | 'replay') {
  const { body } = await api.send<{ cursor: string }>({ service, path: '/v1/head', attempts: 2 });
  const at = body.cursor.lastIndexOf('-');
  return { epoch: body.cursor.slice(0, at), sequence: Number(body.cursor.slice(at + 1)) };
}
