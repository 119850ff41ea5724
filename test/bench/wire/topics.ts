/** How the events of a case are spread over clients and topics. */
export interface TopicPlan {
  readonly prefix: string;
  /** 1: every client has the same topics. */
  readonly audiences: number;
  /** Topics of each audience; its events go round them. */
  readonly topicsEach: number;
}

export function topicOf({ prefix }: TopicPlan, audience: number, index: number): string {
  return `${prefix}.${audience}.${index}`;
}

export function topicsOf(plan: TopicPlan, audience: number): string[] {
  return Array.from({ length: plan.topicsEach }, (_, index) => topicOf(plan, audience, index));
}
