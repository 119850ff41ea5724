/** Whether a text is JSON. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The JSON of an event: its attributes, and the text of its data as it is, so that numbers keep their digits. */
export function withData(attributes: object, data: string | undefined): string {
  const text = JSON.stringify(attributes);
  if (data === undefined) return text;
  return `${text.slice(0, -1)}${text === '{}' ? '' : ','}"data":${data}}`;
}
