import { expect, it } from 'vitest';
import { incidents } from './incidents';

const NOW = Date.parse('2026-11-27T12:00:00Z');
const anomaly = (topic: string, severity: string, onset: string, ended_at: string | null = null) => ({
  topic,
  severity,
  onset: `2026-11-${onset}:00Z`,
  ended_at: ended_at && `2026-11-${ended_at}:00Z`,
});

it('tells an incident once, by the topic rather than by everything', () => {
  const byHour = anomaly('Voltaro', 'critical', '26T22:00');
  const found = incidents(
    [anomaly('everything', 'critical', '26T22:15'), anomaly('Voltaro', 'high', '26T22:15'), byHour],
    NOW,
  );
  expect(found).toEqual([byHour]);
});

it('keeps what happened at another time or to another topic, the gravest first', () => {
  const past = anomaly('Voltaro', 'high', '20T10:00', '20T12:00');
  const other = anomaly('Kestrel', 'low', '26T23:00');
  const now = anomaly('Voltaro', 'critical', '26T22:00');
  expect(incidents([other, past, now], NOW)).toEqual([now, past, other]);
});

it('keeps everything where no topic tells it', () => {
  const all = anomaly('everything', 'low', '26T22:00');
  expect(incidents([all], NOW)).toEqual([all]);
});

it('names the topic where everything is a degree graver, and both where it is more', () => {
  const all = anomaly('everything', 'critical', '26T22:00');
  const high = anomaly('Voltaro', 'high', '26T22:15');
  expect(incidents([all, high], NOW)).toEqual([high]);
  const low = anomaly('Kestrel', 'low', '26T22:15');
  expect(incidents([all, low], NOW)).toEqual([all, low]);
});
