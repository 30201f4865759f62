/** What posts are filtered and grouped by, with the words for it. The compiler asks for the words of every dimension of the
 * API. Pure. */
import type { components } from '../api/schema';

export type Dimension = components['schemas']['Dimension'];

const WORDS: Record<Dimension, { one: string; many: string }> = {
  topic: { one: 'Topic', many: 'Topics' },
  sentiment: { one: 'Sentiment', many: 'Sentiment' },
  category: { one: 'Category', many: 'Categories' },
  language: { one: 'Language', many: 'Languages' },
  platform: { one: 'Platform', many: 'Platforms' },
  country: { one: 'Country', many: 'Countries' },
  source: { one: 'Source', many: 'Sources' },
  author: { one: 'Author', many: 'Authors' },
  place: { one: 'Place', many: 'Places' },
  hashtag: { one: 'Hashtag', many: 'Hashtags' },
  entity: { one: 'Entity', many: 'Entities' },
  phrase: { one: 'Phrase', many: 'Phrases' },
};

/** In the order in which they are offered and written in URLs. */
export const DIMENSIONS = Object.keys(WORDS) as Dimension[];

export function dimension(name: Dimension, many = false): string {
  return WORDS[name][many ? 'many' : 'one'];
}
