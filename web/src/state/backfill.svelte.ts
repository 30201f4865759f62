/** Sources that are loading their history at the moment. Asked every two seconds until they are done. */
import { get } from '../api/client';
import { paths, type Backfill } from '../api/queries';
import { news } from './clock.svelte';

const state = $state<{ running: Backfill[] }>({ running: [] });
const EVERY_MS = 2_000;

export const backfill = {
  get running() {
    return state.running;
  },
};

/** Follows the progress; the answer ends it. */
export function follow(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let ended = false;
  const ask = async () => {
    try {
      state.running = await get<Backfill[]>(paths.backfills);
    } catch {
      // The next page load asks again.
      state.running = [];
    }
    if (ended) return;
    news();
    if (state.running.length > 0) timer = setTimeout(ask, EVERY_MS);
  };
  void ask();
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}
