import { connectIn } from '../../../libs/client/dist/client.js';
import { connect } from '../../../libs/client/dist/index.js';
import { serveCommands } from '../system/commands.ts';
import { type ReadPlan, type ReadReport, readEvents } from './event-reader.ts';
import { MEMORY_START, memoryLink } from './memory-link.ts';

/** The process that holds the client library of the case `client`. */
const commands = {
  async readGateway(plan: ReadPlan & { url: string; token: string }): Promise<ReadReport> {
    const client = connect({ url: plan.url, token: plan.token });
    return readEvents(client, plan).finally(() => client.close());
  },
  async readMemory(plan: Omit<ReadPlan, 'after'> & { eventBytes: number }): Promise<ReadReport> {
    const environment = memoryLink(plan.topic, plan.events, plan.eventBytes);
    const client = connectIn(environment, { url: 'http://memory', token: 'none' });
    return readEvents(client, { ...plan, after: MEMORY_START }).finally(() => client.close());
  },
};
export type ReaderCommands = typeof commands;

serveCommands(commands);
