import { signal } from '@preact/signals';
import type { Configuration } from './types.ts';

/** Where a request goes: `page` is the gateway, or its admin port, that the page came from. */
export type ServiceName = 'page' | 'gateway' | 'replay';

/** An answer that has not come by then does not come. */
const LOAD_MS = 10_000;

/** What the gateway says about the system; `undefined` until it has. */
export const configuration = signal<Configuration | undefined>(undefined);

/** @throws where the gateway does not answer, or with something else */
export async function loadConfiguration(): Promise<void> {
  const answer = await fetch(new URL('configuration.json', document.baseURI), {
    signal: AbortSignal.timeout(LOAD_MS),
    cache: 'no-store',
  });
  if (!answer.ok) throw new Error(`configuration.json: the answer is ${answer.status}.`);
  configuration.value = (await answer.json()) as Configuration;
}

/** Where a service is, without a slash at the end. The console is at `<page>/console/`. */
export function serviceUrl(service: ServiceName): string {
  const page = new URL('..', document.baseURI).href;
  const url = service === 'page' ? null : configuration.value?.[service];
  return (url ?? page).replace(/\/$/, '');
}
