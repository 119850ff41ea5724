/** One event to publish, as a file has it, or what is wrong with its line. */
export type FileRecord =
  | {
      /** The line on which it begins, from 1. */
      readonly line: number;
      /** The JSON object of the event, as it was written; attributes may be missing. */
      readonly json: string;
    }
  | {
      readonly line: number;
      readonly fault: string;
      /** The line as it was, where it is one and is not too long. */
      readonly text?: string;
    };

/** Longest record in bytes: twice the largest event, so that the service judges what is near its limit. */
export const RECORD_BYTES_MAX = 512 * 1024;

/** What is said of a longer one. */
export const TOO_LONG = `is longer than ${RECORD_BYTES_MAX} bytes`;
