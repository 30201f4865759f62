import { expect, test } from 'vitest';
import { spans } from './series';

test('stretches that touch are one, others stay apart', () => {
  expect(
    spans([
      [7, 9],
      [0, 2],
      [2, 4],
      [1, 3],
    ]),
  ).toEqual([
    [0, 4],
    [7, 9],
  ]);
  expect(spans([])).toEqual([]);
});
