/** Server data: loaded when its address changes, the last answer shown (and marked stale) meanwhile. */
import { untrack } from 'svelte';
import { get, Refused } from '../api/client';

const KEPT_MAX = 100;
const kept = new Map<string, unknown>();

function keep(path: string, data: unknown): void {
  kept.delete(path);
  kept.set(path, data);
  if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value!);
}

/** Forgets all answers: after a write, or when someone else signs in. */
export function forgetAll(): void {
  kept.clear();
}

/** The question without the moment at which it is asked: of its time range, the length. */
function subject(path: string): string {
  const url = new URL(path, location.origin);
  const time = (name: string) => Date.parse(url.searchParams.get(name) ?? '');
  const length = time('to') - time('from');
  url.searchParams.delete('from');
  url.searchParams.delete('to');
  return `${url} ${length}`;
}

export class Query<T> {
  data = $state.raw<T>();
  error = $state.raw<Refused>();
  loading = $state(false);
  #again = $state(0);
  #updating = $state(false);
  #subject = '';

  /** Nothing to show yet. */
  get pending(): boolean {
    return this.loading && this.data === undefined;
  }

  /** What is shown belongs to another question, or could not be updated. An update of the same question is not stale:
   * live pages would flicker. */
  get stale(): boolean {
    return this.data !== undefined && ((this.loading && !this.#updating) || this.error !== undefined);
  }

  /** Asks once more. */
  reload = (): void => {
    // An effect may ask for it; it must not then depend on the count that it changes.
    untrack(() => (this.#again += 1));
  };

  get asked(): number {
    return this.#again;
  }

  async load(path: string, signal: AbortSignal): Promise<void> {
    const known = kept.get(path) as T | undefined;
    if (known !== undefined) this.data = known;
    this.loading = true;
    const asked = subject(path);
    this.#updating = asked === this.#subject;
    this.#subject = asked;
    try {
      const data = await get<T>(path, signal);
      keep(path, data);
      this.data = data;
      this.error = undefined;
    } catch (error) {
      if (signal.aborted) return;
      this.error = error instanceof Refused ? error : new Refused(0, String(error));
    }
    this.loading = false;
  }
}

/** Loads `path()` now and whenever it changes. */
export function query<T>(path: () => string | undefined): Query<T> {
  const state = new Query<T>();
  $effect(() => {
    const asked = path();
    void state.asked;
    if (asked === undefined) return;
    const controller = new AbortController();
    void state.load(asked, controller.signal);
    return () => controller.abort();
  });
  return state;
}
