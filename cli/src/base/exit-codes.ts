/** What the process ends with. `tidemark help exit-codes` shows the table. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  refused: 3,
  unavailable: 4,
  interrupted: 130,
  closed: 141,
  terminated: 143,
} as const;

/** One of the exit codes. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Each exit code with its meaning, as help and COMMANDS.md show them. */
export const EXIT_CODES: readonly (readonly [code: ExitCode, meaning: string])[] = [
  [EXIT.ok, 'It is done.'],
  [EXIT.failure, 'It failed, or a part of it: a line was refused, doctor found a fault.'],
  [EXIT.usage, 'An argument, a profile or a file of the user is wrong; nothing was changed.'],
  [EXIT.refused, 'A service refuses the token, or the token does not permit this.'],
  [EXIT.unavailable, 'A service is away or at a limit; the same may succeed later.'],
  [EXIT.interrupted, 'Ctrl-C ended it.'],
  [EXIT.closed, 'The reader of the output has gone, as `head` does.'],
  [EXIT.terminated, 'SIGTERM ended it.'],
];
