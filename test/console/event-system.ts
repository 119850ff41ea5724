import { freePorts } from '../support/free-ports.ts';
import { type System, type SystemOptions, startSystem } from '../support/system.ts';

/**
 * A system whose console may ask replay, which is another origin than the page: replay allows the page's, and the gateway
 * tells the page where replay is. One gateway.
 */
export async function startEventSystem(options: SystemOptions = {}): Promise<System> {
  const [gateway, replay] = await freePorts(2);
  return startSystem({
    ...options,
    env: { ...portsAndOrigin({ gateway, replay, page: gateway }), ...options.env },
  });
}

/** The same with the console at an admin port, from which events are another origin too. */
export async function startEventSystemWithAdminPort(): Promise<{
  system: System;
  page: { gateway: { url: string } };
}> {
  const [gateway, replay, page] = await freePorts(3);
  const env = {
    ...portsAndOrigin({ gateway, replay, page }),
    TIDEMARK_GATEWAY_ADMIN_PORT: String(page),
    TIDEMARK_GATEWAY_CONSOLE_URL: `http://127.0.0.1:${gateway}`,
  };
  const system = await startSystem({ env });
  return { system, page: { gateway: { url: `http://127.0.0.1:${page}` } } };
}

interface Ports {
  readonly gateway: number | undefined;
  readonly replay: number | undefined;
  /** Where the page comes from. */
  readonly page: number | undefined;
}

function portsAndOrigin({ gateway, replay, page }: Ports) {
  return {
    TIDEMARK_GATEWAY_PORT: String(gateway),
    TIDEMARK_REPLAY_PORT: String(replay),
    TIDEMARK_ALLOWED_ORIGINS: `http://127.0.0.1:${page}`,
    TIDEMARK_GATEWAY_CONSOLE_REPLAY_URL: `http://127.0.0.1:${replay}`,
  };
}
