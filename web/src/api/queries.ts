/** One function per endpoint: addresses for what is read (see `state/query.svelte.ts`), calls for what is written. */
import { upload, write } from './client';
import type { components } from './schema';

type Schema = components['schemas'];
export type SignInWays = Schema['SignInWays'];
export type Overview = Schema['Overview'];
export type Totals = Schema['Totals'];
export type Series = Schema['Series'];
export type Breakdown = Schema['Breakdown'];
export type Part = Schema['Part'];
export type Posts = Schema['Posts'];
export type Post = Schema['PostView'];
export type PostDetail = Schema['PostDetail'];
export type Anomaly = Schema['AnomalyView'];
export type Alert = Schema['AlertView'];
export type Rule = Schema['RuleView'];
export type RuleBody = Schema['RuleBody'];
export type WouldBeAlert = Schema['WouldBeAlert'];
export type Topic = Schema['TopicView'];
export type Preview = Schema['Preview'];
export type Category = Schema['CategoryBody'];
export type CategorySet = Schema['CategorySetView'];
export type Source = Schema['SourceStatus'];
export type SourceKind = Schema['SourceKind'];
export type AddedSource = Schema['AddedSource'];
export type SourceOrder = Schema['SourceOrder'];
export type Backfill = Schema['Backfill'];
export type Trial = Schema['SourceTrial'];
export type FileImport = Schema['FileImport'];
export type System = Schema['System'];
export type DeadLetter = Schema['DeadLetterView'];
export type Answer = Schema['Answer'];
export type Tables = Schema['Tables'];
export type SavedQuery = Schema['SavedQuery'];
export type User = Schema['User'];
export type Token = Schema['TokenView'];
export type IssuedToken = Schema['IssuedToken'];
export type TokenScope = Schema['TokenScope'];
export type Role = Schema['Role'];
export type Me = Schema['Me'];
export type Session = Schema['SessionView'];
export type AuditPage = Schema['AuditPage'];
export type MapView = Schema['MapView'];
export type LiveEvent = Schema['LiveEvent'];
export type Correction = Schema['Correction'];

const part = encodeURIComponent;

export const paths = {
  overview: (params: URLSearchParams) => `/api/overview?${params}`,
  series: (params: URLSearchParams, by: string) => `/api/series?${params}&by=${by}`,
  breakdown: (params: URLSearchParams, by: string, limit = 8) => `/api/breakdown?${params}&by=${by}&limit=${limit}`,
  posts: (params: URLSearchParams, limit: number, own: Record<string, string | undefined> = {}) => {
    const all = new URLSearchParams(params);
    all.set('limit', String(limit));
    for (const [key, value] of Object.entries(own)) if (value) all.set(key, value);
    return `/api/posts?${all}`;
  },
  post: (id: string, at: string) => `/api/post?id=${part(id)}&at=${part(at)}`,
  exported: (params: URLSearchParams, format: 'csv' | 'jsonl' | 'parquet', idsOnly: boolean) =>
    // Excel opens the CSV.
    `/api/posts/export?${params}&format=${format}${format === 'csv' ? '&bom=yes' : ''}${idsOnly ? '&ids_only=yes' : ''}`,
  map: (params: URLSearchParams) => `/api/map?${params}`,
  anomalies: (params: URLSearchParams) => `/api/anomalies?${params}`,
  anomaly: (id: string) => `/api/anomalies?anomaly_id=${part(id)}`,
  alerts: (params: URLSearchParams) => `/api/alerts?${params}`,
  live: (params: URLSearchParams) => `/api/live?${params}`,
  rules: '/api/rules',
  topics: '/api/topics',
  categories: '/api/categories',
  sources: '/api/sources',
  backfills: '/api/backfills',
  sourceKinds: '/api/source-kinds',
  addedSources: '/api/added-sources',
  imports: '/api/imports',
  system: '/api/system',
  deadLetters: '/api/dead-letters',
  tables: '/api/sql/tables',
  savedQueries: '/api/queries',
  users: '/api/users',
  tokens: '/api/tokens',
  session: '/api/session',
  sessions: '/api/sessions',
  audit: (before: string | undefined) => `/api/audit?limit=50${before ? `&before=${part(before)}` : ''}`,
};

export const signIn = (name: string, password: string) => write<Me>('POST', '/api/session', { name, password });
export const signInByLink = (secret: string) => write<Me>('POST', '/api/session/link', { secret });
export const signOut = () => write('DELETE', '/api/session');
export const changePassword = (current: string, password: string) =>
  write('POST', '/api/session/password', { current, password });
export const endSession = (id: string) => write('DELETE', `/api/sessions/${part(id)}`);

export const correct = (post_id: string, at: string, change: { sentiment?: string | null; category?: string | null }) =>
  write<Correction[]>('POST', '/api/labels', { post_id, at, ...change });

export const acknowledge = (alert_id: string) => write('POST', '/api/alerts/acknowledge', { alert_id });
export const silence = (alert_id: string, minutes: number) =>
  write('POST', '/api/alerts/silence', { alert_id, minutes });

export const saveRule = (name: string, rule: RuleBody) => write('PUT', `/api/rules/${part(name)}`, rule);
export const removeRule = (name: string) => write('DELETE', `/api/rules/${part(name)}`);
export const backTest = (rule: RuleBody, days: number) =>
  write<WouldBeAlert[]>('POST', '/api/rules/back-test', { rule, days });

export const saveTopic = (name: string, query: string) => write('PUT', `/api/topics/${part(name)}`, { query });
export const removeTopic = (name: string) => write('DELETE', `/api/topics/${part(name)}`);
export const checkTopic = (query: string) => write<Preview>('POST', '/api/topics/check', { query });
export const saveCategories = (categories: Category[]) => write('PUT', '/api/categories', categories);

export const saveSource = (name: string, order: SourceOrder) => write('PUT', `/api/added-sources/${part(name)}`, order);
export const removeSource = (name: string) => write('DELETE', `/api/added-sources/${part(name)}`);
export const importFile = (file: File, platform: string, columns: string) =>
  upload<FileImport>(`/api/imports?name=${part(file.name)}&platform=${part(platform)}&columns=${part(columns)}`, file);
export const trySource = (name: string, source: SourceOrder) =>
  write<Trial>('POST', '/api/source-trials', { name, source });

export const runSql = (sql: string) => write<Answer>('POST', '/api/sql', { sql });
export const saveQuery = (name: string, sql: string) => write('PUT', `/api/queries/${part(name)}`, { sql });
export const forgetQuery = (name: string) => write('DELETE', `/api/queries/${part(name)}`);

export const replay = (id: number) =>
  write<{ accepted: number; reason?: string }>('POST', '/api/dead-letters/replay', { id });
export const giveUp = (id: number) => write('DELETE', '/api/dead-letters', { id });

export const addUser = (name: string, password: string, role: Role) =>
  write('POST', '/api/users', { name, password, role });
export const changeUser = (name: string, role: Role) => write('PATCH', `/api/users/${part(name)}`, { role });
export const removeUser = (name: string) => write('DELETE', `/api/users/${part(name)}`);
export const issueToken = (name: string, scope: TokenScope, expires_in_days: number | null) =>
  write<IssuedToken>('POST', '/api/tokens', { name, scope, expires_in_days });
export const revokeToken = (id: string) => write('DELETE', `/api/tokens/${part(id)}`);
