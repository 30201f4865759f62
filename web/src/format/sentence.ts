/** The detector's sentences put names between asterisks. */

export interface Part {
  text: string;
  name: boolean;
}

/** The pieces of a sentence, names apart. A lone asterisk stays what it is. */
export function parts(sentence: string): Part[] {
  const pieces = sentence.split(/\*([^*]+)\*/);
  return pieces.map((text, index) => ({ text, name: index % 2 === 1 })).filter((part) => part.text !== '');
}

/** The sentence as plain text, for titles. */
export function plain(sentence: string): string {
  return parts(sentence)
    .map((part) => part.text)
    .join('');
}
