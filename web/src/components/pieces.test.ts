import { expect, it } from 'vitest';
import { pieces } from './pieces';

const entity = (kind: string, begin: number, end: number) => ({ kind, begin, end });

it('cuts at characters, not at UTF-16 units', () => {
  expect(pieces('😡 Delta late', [entity('organisation', 2, 7)])).toEqual([
    { text: '😡 ' },
    { text: 'Delta', kind: 'organisation', strong: true },
    { text: ' late' },
  ]);
});

it('gives an overlap to what begins first and ignores impossible offsets', () => {
  const found = pieces('New York City', [entity('location', 0, 8), entity('location', 4, 13), entity('link', 9, 99)]);
  expect(found.map((piece) => piece.text)).toEqual(['New York', ' City']);
});

it('never loses a character', () => {
  const text = '<script>alert("x")</script> @a #b';
  const cut = pieces(text, [entity('mention', 28, 30), entity('hashtag', 31, 33)]);
  expect(cut.map((piece) => piece.text).join('')).toBe(text);
  expect(cut.filter((piece) => piece.strong)).toEqual([]);
});
