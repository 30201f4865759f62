import { expect, it } from 'vitest';
import { completions, wordAt } from './complete';

const tables = [
  { name: 'posts', columns: [{ name: 'post_id' }, { name: 'platform' }, { name: 'place' }] },
  { name: 'entities', columns: [{ name: 'entity' }] },
];
const at = (text: string) => completions(text, text.length, tables);

it('offers columns of the tables that are named first', () => {
  const text = 'SELECT pl FROM posts';
  expect(completions(text, 9, tables)).toEqual(['platform', 'place']);
  expect(at('SELECT * FROM ent')).toEqual(['entity', 'entities']);
});

it('offers nothing inside a text or without a beginning', () => {
  expect(at("SELECT * FROM posts WHERE place = 'Pl")).toEqual([]);
  expect(at('SELECT ')).toEqual([]);
});

it('finds the word before the cursor', () => {
  expect(wordAt('SELECT count(pla', 16)).toEqual({ word: 'pla', begin: 13 });
});
