/** Random bytes as hexadecimal digits. */
export function randomHex(bytes: number): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** An id for an event. Browsers have `crypto.randomUUID` on secure pages only, and a console may be at an `http:` address. */
export function newEventId(): string {
  return randomHex(16);
}
