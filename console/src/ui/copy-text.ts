/** @returns whether the browser took it: it may refuse, and has no clipboard for a page at an `http:` address */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
