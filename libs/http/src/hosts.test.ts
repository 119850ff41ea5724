import { describe, expect, test } from 'vitest';
import { parseHosts } from './hosts.ts';

const LOCAL = { host: '127.0.0.1', allowedHosts: '', trustedProxies: '' };

function answers(
  config: Partial<typeof LOCAL>,
  host: string | undefined,
  remoteAddress = '127.0.0.1',
) {
  const check = parseHosts({ ...LOCAL, ...config });
  try {
    check({ headers: { ...(host !== undefined && { host }) }, socket: { remoteAddress } });
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'forbidden' });
    return false;
  }
}

describe('names of a service', () => {
  test('on a loopback address: loopback names, and no name of a page that was rebound', () => {
    for (const host of [
      '127.0.0.1:8080',
      'localhost',
      'LOCALHOST:1',
      '[::1]:8080',
      'a.localhost',
    ]) {
      expect(answers({}, host), host).toBe(true);
    }
    expect(answers({}, undefined)).toBe(true);
    for (const host of [
      'evil.example',
      'evil.example:8080',
      '127.0.0.1.evil.example',
      'localhost.evil',
    ]) {
      expect(answers({}, host), host).toBe(false);
      expect(answers({ host: '::1' }, host), host).toBe(false);
      expect(answers({ host: 'localhost' }, host), host).toBe(false);
    }
  });

  test('what a trusted proxy sends, and names that are configured: answered', () => {
    expect(answers({ trustedProxies: '127.0.0.1' }, 'tidemark.example')).toBe(true);
    expect(answers({ allowedHosts: 'a.example, Tidemark.example' }, 'tidemark.example:1')).toBe(
      true,
    );
    expect(answers({ allowedHosts: 'a.example' }, 'tidemark.example')).toBe(false);
    expect(answers({ allowedHosts: '*' }, 'tidemark.example')).toBe(true);
  });

  test('on the network: any name, or those that are configured', () => {
    expect(answers({ host: '0.0.0.0' }, 'tidemark.example')).toBe(true);
    expect(answers({ host: '0.0.0.0', allowedHosts: 'a.example' }, 'tidemark.example')).toBe(false);
  });
});
