/** Key phrases beside entities: a phrase that only repeats the name of an entity adds nothing. Pure, and tested. */

const words = (text: string) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];

/** The phrases with at least one word that is not part of an entity's name. */
export function withoutNames<T extends { value: string }>(phrases: readonly T[], names: readonly string[]): T[] {
  const named = new Set(names.flatMap(words));
  return phrases.filter((phrase) => words(phrase.value).some((word) => !named.has(word)));
}
