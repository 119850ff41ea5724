/**
 * What the other processes of a service on this host count, where several share its ports. What they tell is some
 * milliseconds old, so a limit of the host can be passed by what came to two processes within that time.
 */
export interface OtherProcesses {
  /** What they hold together, under the name of a limit and a key. */
  heldElsewhere(limit: string, key: string): number;
  /** Tells them that this process holds so much more, or less where negative. */
  tellHeld(limit: string, key: string, change: number): void;
  /** Tells them that this process has used so much of a rate. */
  tellUsed(limit: string, key: string, count: number): void;
  /** Has `listen` called with what they have used of a rate. */
  onUsed(limit: string, listen: (key: string, count: number) => void): void;
}

/** The others of a process that is alone on its ports: there are none. */
export const NO_OTHERS: OtherProcesses = {
  heldElsewhere: () => 0,
  tellHeld: () => {},
  tellUsed: () => {},
  onUsed: () => {},
};
