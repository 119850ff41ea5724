/** Takes the chunks of a body apart (RFC 9112 section 7.1), as they arrive. */
export class ChunkDecoder {
  #rest: Buffer = Buffer.alloc(0);
  /** Whether the last chunk has come. Without it the body was cut. */
  ended = false;

  /** @returns the content of the chunks that are complete now */
  decode(bytes: Buffer): Buffer {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const content: Buffer[] = [];
    while (!this.ended) {
      const lineEnd = this.#rest.indexOf('\r\n');
      if (lineEnd === -1) break;
      const size = this.#rest.toString('latin1', 0, lineEnd);
      if (!/^[0-9a-f]+$/.test(size)) throw new Error(`${JSON.stringify(size)} is no chunk's size.`);
      const start = lineEnd + 2;
      const end = start + Number.parseInt(size, 16);
      if (this.#rest.length < end + 2) break;
      if (this.#rest.toString('latin1', end, end + 2) !== '\r\n')
        throw new Error('A chunk goes on.');
      content.push(this.#rest.subarray(start, end));
      this.ended = end === start;
      this.#rest = this.#rest.subarray(end + 2);
    }
    return Buffer.concat(content);
  }
}
