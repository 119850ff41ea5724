import Database from 'better-sqlite3';

/**
 * The read model: for each topic how many events there were, what their amounts are together, and the last one.
 * What it holds and the cursor up to which it holds it are one transaction. So whatever kills the process, the
 * model is exactly the log up to its cursor, and the service goes on from there.
 */
export class ReadModel {
  #file;
  #read;
  #add;
  #moveTo;

  /** @param {string} path of the file, which is made where there is none */
  constructor(path) {
    this.#file = new Database(path);
    this.#file.pragma('journal_mode = WAL');
    this.#file.exec(`
      CREATE TABLE IF NOT EXISTS topics (
        topic TEXT PRIMARY KEY, events INTEGER NOT NULL, amount REAL NOT NULL, last TEXT NOT NULL
      );
      CREATE TABLE IF NOT EXISTS position (
        one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT NOT NULL, events INTEGER NOT NULL
      );
    `);
    this.#file.exec("INSERT OR IGNORE INTO position VALUES (1, 'earliest', 0)");
    this.#read = this.#file.prepare('SELECT cursor, events FROM position');
    this.#moveTo = this.#file.prepare('UPDATE position SET cursor = ?, events = events + ?');
    this.#add = this.#file.prepare(`
      INSERT INTO topics VALUES (:topic, 1, :amount, :id)
      ON CONFLICT DO UPDATE SET events = events + 1, amount = amount + :amount, last = :id
    `);
  }

  /** @returns {{ cursor: string, events: number }} where to go on, and how many events it has seen */
  get position() {
    return /** @type {{ cursor: string, events: number }} */ (this.#read.get());
  }

  /**
   * Takes the events, in their order, and moves on to the cursor: all of it or nothing.
   *
   * @param {readonly import('../follow.mjs').Event[]} events
   * @param {string} cursor
   */
  apply(events, cursor) {
    this.#file.transaction(() => {
      for (const { topic, id, data } of events) {
        this.#add.run({ topic, id, amount: Number(data?.amount) || 0 });
      }
      this.#moveTo.run(cursor, events.length);
    })();
  }
}
