import { freePorts } from '../support/free-ports.ts';
import { type System, type SystemOptions, startSystem } from '../support/system.ts';

/**
 * A system whose console may ask replay, which is another origin than the gateway: replay allows the gateway's, and the
 * gateway tells the page where replay is. One gateway.
 */
export async function startEventSystem(options: SystemOptions = {}): Promise<System> {
  const [gateway, replay] = await freePorts(2);
  return startSystem({
    ...options,
    env: {
      TIDEMARK_GATEWAY_PORT: String(gateway),
      TIDEMARK_REPLAY_PORT: String(replay),
      TIDEMARK_ALLOWED_ORIGINS: `http://127.0.0.1:${gateway}`,
      TIDEMARK_GATEWAY_CONSOLE_REPLAY_URL: `http://127.0.0.1:${replay}`,
      ...options.env,
    },
  });
}
