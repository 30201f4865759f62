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

/** The gravest anomalies first. One that another of its topic tells already is left out: it overlaps in time (found by the
 * hour and by the quarter of an hour, in the whole and in a part). So is one of everything where a topic tells it, at most
 * one degree less grave: a topic's posts are a part of everything's. */
export function incidents<T extends Noticed>(anomalies: readonly T[], nowMs: number): T[] {
  const rank = (anomaly: Noticed) => RANK[anomaly.severity] ?? 0;
  const end = (anomaly: Noticed) => (anomaly.ended_at ? Date.parse(anomaly.ended_at) : nowMs);
  const overlap = (a: Noticed, b: Noticed) => Date.parse(a.onset) <= end(b) && Date.parse(b.onset) <= end(a);
  const graver = (a: Noticed, b: Noticed) => rank(b) - rank(a) || Date.parse(b.onset) - Date.parse(a.onset);
  const told: T[] = [];
  for (const anomaly of [...anomalies].sort(graver)) {
    if (!told.some((other) => other.topic === anomaly.topic && overlap(anomaly, other))) told.push(anomaly);
  }
  const topics = told.filter((anomaly) => anomaly.topic !== EVERYTHING);
  const byTopic = (all: T) => topics.some((topic) => overlap(all, topic) && rank(topic) >= rank(all) - 1);
  return told.filter((anomaly) => anomaly.topic !== EVERYTHING || !byTopic(anomaly));
}
