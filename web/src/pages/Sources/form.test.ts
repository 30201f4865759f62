import { expect, test } from 'vitest';
import type { AddedSource, SourceKind } from '../../api/queries';
import { orderOf, shown, suggestedName } from './form';

const kind: SourceKind = {
  name: 'mastodon',
  title: 'Mastodon',
  about: '',
  fields: [
    { key: 'url', kind: 'text', about: '', required: true, default: null },
    { key: 'tags', kind: 'list', about: '', required: false, default: [] },
    { key: 'public', kind: 'switch', about: '', required: false, default: false },
    { key: 'interval_s', kind: 'number', about: '', required: false, default: 60 },
    { key: 'token', kind: 'secret', about: '', required: false, default: null },
  ],
};
const source: AddedSource = {
  name: 'm',
  kind: 'mastodon',
  enabled: true,
  settings: { url: 'https://a.example', tags: ['one', 'two'] },
  secrets: ['token'],
  saved_by: 'admin',
  saved_at: '2026-01-01T00:00:00Z',
};

test('a source comes back as it was, without its secrets', () => {
  const values = shown(kind, source);
  expect(values).toEqual({ url: 'https://a.example', tags: 'one\ntwo', public: false, interval_s: 60, token: '' });
  expect(orderOf(kind, values, true)).toEqual({
    kind: 'mastodon',
    enabled: true,
    settings: source.settings,
    secrets: {},
  });
});

test('what is typed is sent with its type', () => {
  const values = {
    ...shown(kind, undefined),
    url: 'u',
    tags: ' a\n\nb, c ',
    public: true,
    interval_s: '15',
    token: 's',
  };
  const order = orderOf(kind, values, false);
  expect(order.settings).toEqual({ url: 'u', tags: ['a', 'b', 'c'], public: true, interval_s: 15 });
  expect([order.enabled, order.secrets]).toEqual([false, { token: 's' }]);
});

test('a name is suggested', () => {
  expect(suggestedName('feed', { urls: 'https://www.example.org/feed\nhttps://b' }, [])).toBe('example.org');
  expect(suggestedName('feed', { urls: 'exam' }, [])).toBe('feed');
  expect(suggestedName('bluesky', {}, [])).toBe('bluesky');
  expect(suggestedName('bluesky', {}, ['bluesky', 'bluesky-2'])).toBe('bluesky-3');
});
