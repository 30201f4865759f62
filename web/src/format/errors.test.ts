import { expect, it } from 'vitest';
import { advice } from './errors';

it('says what to do unless the message of the server does', () => {
  for (const status of [401, 403, 404, 413, 429, 500, 503]) expect(advice(status).next, String(status)).toMatch(/\.$/);
  expect(advice(400)).toEqual({ title: 'Invalid request.' });
});
