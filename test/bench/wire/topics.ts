/** How the events of a case are spread over clients and topics. */
export interface TopicPlan {
  readonly prefix: string;
  /** The number of audiences. With 1 every client has the same topics. */
  readonly audiences: number;
  /** Topics of each audience. Its events use them in turn. */
  readonly topicsEach: number;
}

export function topicOf({ prefix }: TopicPlan, audience: number, index: number): string {
  return `${prefix}.${audience}.${index}`;
}

export function topicsOf(plan: TopicPlan, audience: number): string[] {
  return Array.from({ length: plan.topicsEach }, (_, index) => topicOf(plan, audience, index));
}
