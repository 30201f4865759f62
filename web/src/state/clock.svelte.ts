/** The time of day as pages use it: `now` for "3 min ago", `asOf` for the end of relative ranges. `asOf` moves only when
 * there is something new to see, so that a quiet lake causes no questions. */

const time = $state({ now: Date.now(), asOf: Date.now() });
const NEXT_MS = 5_000;
/** A page that was just opened may be opened on a program that was just started: it reads again sooner. */
const NEXT_MIN_MS = 1_000;
const opened = Date.now();
let due: ReturnType<typeof setTimeout> | undefined;

export const clock = {
  get now() {
    return time.now;
  },
  get asOf() {
    return time.asOf;
  },
};

/** Reads the numbers again at once. */
export function refresh(): void {
  clearTimeout(due);
  due = undefined;
  time.now = Date.now();
  time.asOf = time.now;
}

/** The lake has news: reads the numbers again, but not more often than every few seconds. */
export function news(): void {
  if (document.hidden) return;
  const pause = Math.min(NEXT_MS, Math.max(NEXT_MIN_MS, (Date.now() - opened) / 2));
  due ??= setTimeout(refresh, Math.max(0, time.asOf + pause - Date.now()));
}

export function start(): void {
  setInterval(() => {
    if (!document.hidden) time.now = Date.now();
  }, 10_000);
  // Without news the end of the range still moves, slowly.
  setInterval(() => {
    if (!document.hidden) refresh();
  }, 60_000);
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) refresh();
  });
}
