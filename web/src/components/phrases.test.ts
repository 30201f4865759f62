import { expect, it } from 'vitest';
import { withoutNames } from './phrases';

it('leaves out phrases that only repeat names', () => {
  const phrases = ['Kestrel 9', 'kestrel', 'battery drain', 'Aurelia Air flight', 'Aurelia Air'].map((value) => ({
    value,
  }));
  const kept = withoutNames(phrases, ['Kestrel 9', 'Aurelia Air', '#storm']);
  expect(kept.map((one) => one.value)).toEqual(['battery drain', 'Aurelia Air flight']);
});
