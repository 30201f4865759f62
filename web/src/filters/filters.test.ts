import { describe, expect, it } from 'vitest';
import { bounds, isNarrowed, lengthMs, read, toApi, toggle, widened, write } from './filters';

const now = Date.parse('2026-11-23T07:00:03Z');

describe('the URL', () => {
  it('comes back as it went', () => {
    const search = '?range=7d&topic=A+%26+B&topic=c&sentiment=negative&q=late+%22lost+bag%22&reposts=no';
    expect(write(read(search))).toBe(search);
  });

  it('says nothing where nothing is chosen', () => {
    expect(write(read(''))).toBe('');
    expect(isNarrowed(read('?range=30d'))).toBe(false);
  });

  it('falls back where it is nonsense', () => {
    expect(read('?range=banana&topic=').range).toEqual({ last: '24h' });
    expect(read('?from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z').range).toEqual({ last: '24h' });
    expect(read('?topic=&topic=a&topic=a').values).toEqual({ topic: ['a'] });
  });

  it('keeps a page’s own parameters', () => {
    expect(write(read('?topic=a'), { group: 'copies', none: undefined })).toBe('?topic=a&group=copies');
  });
});

describe('values', () => {
  it('toggle in and out', () => {
    const once = toggle(read(''), 'country', 'DE');
    expect(once.values).toEqual({ country: ['DE'] });
    expect(toggle(once, 'country', 'DE').values).toEqual({});
  });

  it('are all dropped but the range', () => {
    expect(write(widened(read('?range=7d&topic=a&q=b&reposts=no')))).toBe('?range=7d');
  });
});

describe('the range', () => {
  it('knows minutes, hours and days', () => {
    expect([lengthMs('15m'), lengthMs('24h'), lengthMs('7d')]).toEqual([900_000, 86_400_000, 604_800_000]);
    expect([lengthMs('0h'), lengthMs('7w'), lengthMs('h')]).toEqual([undefined, undefined, undefined]);
  });

  it('ends on whole steps so that the same question is asked again', () => {
    expect(bounds({ last: '1h' }, now).to).toBe(Date.parse('2026-11-23T07:00:10Z'));
    expect(bounds({ last: '7d' }, now).to).toBe(Date.parse('2026-11-23T07:01:00Z'));
    expect(bounds({ last: '7d' }, now)).toEqual(bounds({ last: '7d' }, now + 40_000));
  });

  it('goes to the API as absolute times with the zone', () => {
    const params = toApi(read('?topic=a&q=x'), now, 'Europe/Berlin');
    expect(params.toString()).toBe(
      'from=2026-11-22T07%3A01%3A00.000Z&to=2026-11-23T07%3A01%3A00.000Z&tz=Europe%2FBerlin&topic=a&q=x',
    );
  });
});
