import { until } from '../support/until.ts';
import type { Message, WebSocketClient } from '../support/web-socket-client.ts';
import { message } from './inputs.ts';
import { blocks, codeOf, countOutcome, type Outcomes, type Surface } from './surface.ts';

/** Clients that send at the same time. Each opens a new connection for each block. */
const CLIENTS = 4;

/** Text messages of clients. Each gets an answer or does nothing, and none ends the connection. */
export const webSocketMessages: Surface = async (run) => {
  const outcomes: Outcomes = {};
  for (const block of blocks(message, run)) {
    const clients = Array.from({ length: CLIENTS }, () => run.system.open());
    await Promise.all(
      clients.map(async (client, index) => {
        await client.first('welcome');
        await talk(
          client,
          block.filter((_, at) => at % CLIENTS === index),
        );
        for (const answer of client.messages) countOutcome(outcomes, outcomeOf(answer, block));
        await client.close();
      }),
    );
  }
  return outcomes;
};

async function talk(client: WebSocketClient, texts: readonly string[]): Promise<void> {
  for (const text of texts) client.send(text);
  // Messages are processed in order, so the answer to this one comes after all other answers.
  client.send({ type: 'unsubscribe', id: 'the end' });
  let code: number | undefined;
  void client.closed.then((end) => {
    code = end.code;
  });
  await until(
    () => code !== undefined || client.all('error', 'the end').length > 0,
    () => `an answer after ${JSON.stringify(texts).slice(0, 2000)}`,
  );
  if (code !== undefined) throw new Error(`closed with ${code}: ${JSON.stringify(texts)}`);
}

function outcomeOf(answer: Message, block: readonly string[]): string {
  if (answer.type !== 'error') return answer.type;
  return `error ${codeOf(answer, block.slice(0, 20))}`;
}
