import { expect, it } from 'vitest';
import { balance, mood, radius, share } from './shade';

const counted = (positive: number, negative: number, neutral = 0) => ({ positive, negative, neutral, mixed: 0 });
const tones = { negative: '#ff0000', neutral: '#808080', positive: '#0000ff' };

it('moods run from negative over grey to positive', () => {
  expect([balance(counted(0, 5)), balance(counted(2, 2)), balance(counted(5, 0)), balance(counted(0, 0))]).toEqual([
    -1, 0, 1, 0,
  ]);
  expect([mood(counted(0, 5), tones), mood(counted(1, 1), tones), mood(counted(5, 0), tones)]).toEqual([
    '#ff0000',
    '#808080',
    '#0000ff',
  ]);
});

it('four times the mentions is twice the width', () => {
  expect((radius(400, 400) - 5) / (radius(100, 400) - 5)).toBeCloseTo(2);
});

it('small countries are still seen', () => {
  expect(share(10, 100_000)).toBeGreaterThan(0.15);
  expect(share(100_000, 100_000)).toBe(1);
});
