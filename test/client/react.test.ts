import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TidemarkProviderProps } from '@tidemark/client/react';
import { afterAll, beforeAll, describe, expect, expectTypeOf, test, vi } from 'vitest';
import type { OpenInbox } from '../../libs/client/src/inbox/types.ts';
import { loadServer, REACT_VERSIONS, type ServerProgram } from '../browser/react/bundle.ts';

/* The hooks on a server, which has no window. test/browser/react.test.ts has them in a browser. */

type What = 'feed' | 'map' | 'bell' | 'bells';

describe.each(REACT_VERSIONS)('React %s on a server', (version) => {
  let server: ServerProgram;
  let requests = 0;
  const gateway = createServer((_request, response) => {
    requests++;
    response.end();
  });
  gateway.on('connection', () => requests++);
  let url = '';

  beforeAll(async () => {
    server = await loadServer(version);
    await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`;
  });
  afterAll(() => void gateway.close());

  const openInbox = vi.fn();
  const token = vi.fn(() => 'token');
  const render = (what: What) =>
    server.render({ what, settings: { url, token, topics: ['a'] }, kept: {}, openInbox });

  test('it is that version', () => {
    expect(server.version.split('.')[0]).toBe(version);
  });

  test.each([
    ['feed', '<ol></ol>'],
    ['map', '<p>0</p>'],
  ] as const)('%s: renders what there is before the first event', (what, html) => {
    expect(render(what)).toContain(html);
  });

  test('bell: is closed, and says nothing of a count', () => {
    const html = render('bell');
    expect(html).toContain('aria-label="Notifications"');
    expect(html).toContain('aria-expanded="false"');
    expect(html).not.toContain('role="dialog"');
  });

  test('everything: complains of nothing, and connects to nothing', async () => {
    const complain = vi.spyOn(console, 'error');
    for (const what of ['feed', 'map', 'bell', 'bells'] as const) render(what);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(complain.mock.calls).toEqual([]);
    expect(openInbox).not.toHaveBeenCalled();
    expect(requests).toBe(0);
  });
});

test('provider: openInbox: takes the double of the inbox', () => {
  expectTypeOf<OpenInbox>().toExtend<NonNullable<TidemarkProviderProps['openInbox']>>();
});
