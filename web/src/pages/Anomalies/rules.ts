/** Alert rules in words, and defaults for new ones. Pure, and tested. */
import type { Rule, RuleBody } from '../../api/queries';
import { compact, percent } from '../../format/numbers';

export type Kind = RuleBody['condition']['when'];

export const KINDS: readonly { kind: Kind; label: string }[] = [
  { kind: 'anomaly', label: 'Anomaly' },
  { kind: 'threshold', label: 'Number of mentions' },
  { kind: 'change', label: 'Change in volume' },
  { kind: 'negative_share', label: 'Share of negative mentions' },
  { kind: 'first_mention', label: 'First mention of a phrase' },
  { kind: 'silence', label: 'No posts from a source' },
];

export const WINDOWS: readonly { seconds: number; label: string }[] = [
  { seconds: 900, label: '15 minutes' },
  { seconds: 3600, label: '1 hour' },
  { seconds: 4 * 3600, label: '4 hours' },
  { seconds: 12 * 3600, label: '12 hours' },
  { seconds: 86_400, label: '1 day' },
  { seconds: 7 * 86_400, label: '7 days' },
];

const CONDITIONS: { [K in Kind]: Extract<RuleBody['condition'], { when: K }> } = {
  anomaly: { when: 'anomaly', severity_min: 'high' },
  threshold: { when: 'threshold', mentions_min: 100, window_s: 3600 },
  change: { when: 'change', percent_min: 100, window_s: 3600, mentions_min: 20 },
  negative_share: { when: 'negative_share', share_min: 0.5, window_s: 3600, mentions_min: 20 },
  first_mention: { when: 'first_mention', phrase: '' },
  silence: { when: 'silence', source: '', silent_s: 3600 },
};

export function blank(kind: Kind): RuleBody {
  return {
    topic: null,
    condition: { ...CONDITIONS[kind] },
    channels: [],
    cooldown_s: 3600,
    quiet_hours: null,
    enabled: true,
  };
}

function lasting(seconds: number): string {
  return WINDOWS.find((one) => one.seconds === seconds)?.label ?? `${seconds} s`;
}

/** What makes the rule fire, in one sentence. */
export function describe(rule: Pick<Rule, 'topic' | 'condition'>): string {
  const subject = rule.topic ? `“${rule.topic}”` : 'any topic';
  const condition = rule.condition;
  switch (condition.when) {
    case 'anomaly':
      return `Anomaly in ${subject} with severity ${condition.severity_min}${condition.severity_min === 'critical' ? '' : ' or higher'}`;
    case 'threshold':
      return `At least ${compact(condition.mentions_min)} mentions of ${subject} in ${lasting(condition.window_s)}`;
    case 'change':
      return `Mentions of ${subject} up or down by ${compact(condition.percent_min)}% in ${lasting(condition.window_s)} (at least ${compact(condition.mentions_min)} mentions)`;
    case 'negative_share':
      return `At least ${percent(condition.share_min)} of mentions of ${subject} negative in ${lasting(condition.window_s)} (at least ${compact(condition.mentions_min)} mentions)`;
    case 'first_mention':
      return `First mention of “${condition.phrase}” in ${subject}`;
    case 'silence':
      return `No posts from source ${condition.source} for ${lasting(condition.silent_s)}`;
  }
}
