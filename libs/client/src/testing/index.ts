export type { Code, ErrorDetails } from './answers.ts';
export {
  type FakeInboxDriver,
  type FakeOptions,
  type FakeTidemark,
  fakeTidemark,
  type RefuseOptions,
} from './fake-tidemark.ts';
export type { FollowRequest, InboxAnswer, MarkRequest } from './inbox.ts';
