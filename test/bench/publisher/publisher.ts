import { serveCommands } from '../system/commands.ts';
import { type HttpPlan, post } from './http-publisher.ts';
import { type AmountPlan, type RatePlan, RequestLoad, type TimePlan } from './request-load.ts';
import { type PublishPlan, StreamPublisher } from './stream-publisher.ts';
import type { StreamWatch } from './stream-watch.ts';

/** The process that publishes the events of a case. */
let stream: StreamPublisher | undefined;
let watch: StreamWatch | undefined;
const requests = new RequestLoad();
const commands = {
  async connect({ natsUrl }: { natsUrl: string }) {
    stream = await StreamPublisher.open(natsUrl);
  },
  publish(plan: PublishPlan) {
    if (!stream) throw new Error('The publisher has no connection yet.');
    if (!plan.goesOn) stream.restart();
    return stream.publish(plan);
  },
  post: (plan: HttpPlan) => post(plan),
  /** Watches the stream from now on. */
  async watch(_: object) {
    watch = await stream?.watch();
  },
  watched(_: object) {
    if (!watch) throw new Error('Nobody watches the stream.');
    return watch.stop();
  },
  // By the API of any system.
  restartRequests: (_: object) => requests.restart(),
  publishRequests: (plan: AmountPlan) => requests.publish(plan),
  allowRequests: ({ events }: { events: number }) => requests.allow(events),
  requestsAtRate: (plan: RatePlan) => requests.atRate(plan),
  flood: (plan: TimePlan) => requests.flood(plan),
};
export type PublisherCommands = typeof commands;

serveCommands(commands);
