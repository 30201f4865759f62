/** What was noticed, each incident once. Pure, and tested. */

export interface Noticed {
  topic: string;
  severity: string;
  onset: string;
  ended_at?: string | null;
}

/** The series over all posts, whatever the topic. */
const EVERYTHING = 'everything';
const RANK: Record<string, number> = { critical: 3, high: 2, medium: 1, low: 0 };

/** The gravest anomalies first. One that another tells already is left out: it overlaps in time and is of the same topic
 * (found by the hour and by the quarter of an hour, in the whole and in a part), or one of the two is of everything. */
export function incidents<T extends Noticed>(anomalies: readonly T[], nowMs: number): T[] {
  const rank = (anomaly: Noticed) => (RANK[anomaly.severity] ?? 0) * 2 + (anomaly.topic === EVERYTHING ? 0 : 1);
  const end = (anomaly: Noticed) => (anomaly.ended_at ? Date.parse(anomaly.ended_at) : nowMs);
  const overlap = (a: Noticed, b: Noticed) => Date.parse(a.onset) <= end(b) && Date.parse(b.onset) <= end(a);
  const related = (a: Noticed, b: Noticed) => a.topic === b.topic || a.topic === EVERYTHING || b.topic === EVERYTHING;
  const told: T[] = [];
  for (const anomaly of [...anomalies].sort((a, b) => rank(b) - rank(a) || Date.parse(b.onset) - Date.parse(a.onset))) {
    if (!told.some((other) => related(anomaly, other) && overlap(anomaly, other))) told.push(anomaly);
  }
  return told;
}
