import { expect, test } from 'vitest';
import { parts, plain } from './sentence';

test('names between asterisks are set apart', () => {
  expect(parts('Mentions of *late flight* are 6×')).toEqual([
    { text: 'Mentions of ', name: false },
    { text: 'late flight', name: true },
    { text: ' are 6×', name: false },
  ]);
});

test('plain text has no marks, and a lone asterisk stays', () => {
  expect(plain('*snow*, *DFW* and 5 * 3')).toBe('snow, DFW and 5 * 3');
});
