/** The users of the inbox case: what each owns and follows follows from its number. */

/** Shared topics that users follow, and events on each. */
export const SHARED_TOPICS = 2000;
export const EVENTS_PER_SHARED_TOPIC = 9;

/** Follows of each user. Their events, and those of the own topics, are the 200 items. */
export const FOLLOWS = 20;
export const OWN_ITEMS = 20;
export const ITEMS = OWN_ITEMS + FOLLOWS * EVENTS_PER_SHARED_TOPIC;

export function userName(user: number): string {
  return `u${user}`;
}

export function sharedTopic(index: number): string {
  return `news.${index % SHARED_TOPICS}`;
}

/** The topics that a user follows: each shared topic has as many followers as the others. */
export function followsOf(user: number): string[] {
  return Array.from({ length: FOLLOWS }, (_, index) => sharedTopic(user * 7 + index * 97));
}
