import { expect, it } from 'vitest';
import { blank, describe, KINDS } from './rules';

it('every kind of rule can be started and said in words', () => {
  for (const { kind } of KINDS) {
    const rule = blank(kind);
    expect(rule.condition.when).toBe(kind);
    expect(describe(rule)).not.toContain('undefined');
  }
});

it('names the topic it is about', () => {
  expect(describe({ ...blank('anomaly'), topic: 'delays' })).toBe('Anomaly in “delays” with severity high or higher');
  expect(describe(blank('threshold'))).toBe('At least 100 mentions of any topic in 1 hour');
});

it('a blank rule does not share its condition with the next', () => {
  const rule = blank('first_mention');
  if (rule.condition.when === 'first_mention') rule.condition.phrase = 'x';
  expect(blank('first_mention').condition).toEqual({ when: 'first_mention', phrase: '' });
});
