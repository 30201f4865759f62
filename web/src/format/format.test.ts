import { describe, expect, it } from 'vitest';
import { country, language, value } from './names';
import { bytes, change, changeOfShare, compact, duration, percent } from './numbers';
import { ago, interval, step } from './times';

const plain = (text: string) => text.replaceAll('\u202f', ' ');

describe('numbers', () => {
  it('have three figures at most', () => {
    expect([0, 847, 999, 1000, 12_431, 99_960, 999_600, 3_141_592, 2.5e9].map(compact).map(plain)).toEqual([
      '0',
      '847',
      '999',
      '1k',
      '12.4k',
      '100k',
      '1M',
      '3.1M',
      '2.5B',
    ]);
  });

  it('are shares', () => {
    expect([0, 0.004, 0.126, 1].map(percent).map(plain)).toEqual(['0%', '0.4%', '13%', '100%']);
  });

  it('tell how they changed', () => {
    const text = (now: number, before: number) => change(now, before) && plain(change(now, before)!.text);
    expect(text(118, 100)).toBe('+18%');
    expect(text(97, 100)).toBe('−3%');
    expect(text(1001, 1000)).toBe('no change');
    expect(text(320, 100)).toBe('×3.2');
    expect(text(5, 0)).toBe('new');
    expect(text(0, 0)).toBeUndefined();
    expect(changeOfShare(0.25, 0.208)?.text).toBe('+4.2 points');
    expect(changeOfShare(null, 0.2)).toBeUndefined();
  });

  it('have units', () => {
    expect([0, 1234, 5_600_000].map(bytes).map(plain)).toEqual(['0 B', '1.2 kB', '5.6 MB']);
    expect([340, 2100, 240_000, 7_200_000, 200_000_000].map(duration).map(plain)).toEqual([
      '340 ms',
      '2.1 s',
      '4 min',
      '2 h',
      '2 d',
    ]);
  });
});

describe('times', () => {
  const now = Date.parse('2026-11-23T08:00:00Z');

  it('pass', () => {
    const before = (seconds: number) => ago(now - seconds * 1000, now);
    expect([3, 42, 200, 7300, 200_000].map(before)).toEqual([
      'just now',
      '42 s ago',
      '3 min ago',
      '2 h ago',
      '2 d ago',
    ]);
  });

  it('are intervals in the person’s zone', () => {
    expect(interval(now, 3600, 'Europe/Berlin')).toBe('Mon 23 Nov, 09:00 – 10:00');
    expect(interval(now, 86_400, 'UTC')).toBe('Mon 23 Nov');
    expect([step(60), step(900), step(86_400), step(10_800)]).toEqual(['minute', '15 minutes', 'day', '3 hours']);
  });
});

describe('names', () => {
  it('are words where words are known', () => {
    expect([language('de'), language('und'), language('xx-invalid-code-here')]).toEqual([
      'German',
      'Unknown language',
      'xx-invalid-code-here',
    ]);
    expect([country('DE'), country('Atlantis')]).toEqual(['Germany', 'Atlantis']);
    expect([value('hashtag', '#late'), value('category', 'lost_bag')]).toEqual(['#late', 'Lost bag']);
  });
});
