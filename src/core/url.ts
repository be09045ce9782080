/** A URL for people: passwords, and values that look like secrets, are never shown. */
export function printableUrl(url: string): string {
  return url
    .replace(/(:\/\/[^/@:\s]*):[^@/\s]*@/g, '$1:***@')
    .replace(/([?&](?:[^=&]*(?:password|secret|token|key)[^=&]*)=)[^&]*/gi, '$1***')
}
