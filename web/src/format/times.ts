/** Times as people read them, in their own zone. Pure: the time of day is an argument. */

export const timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `just now`, `3 min ago`, `5 h ago`, then the date. */
export function ago(time: string | number, now: number): string {
  const at = typeof time === 'number' ? time : Date.parse(time);
  const passed = now - at;
  if (passed < -MINUTE) return dateTime(at);
  if (passed < 10_000) return 'just now';
  if (passed < MINUTE) return `${Math.floor(passed / 1000)} s ago`;
  if (passed < HOUR) return `${Math.floor(passed / MINUTE)} min ago`;
  if (passed < DAY) return `${Math.floor(passed / HOUR)} h ago`;
  if (passed < 7 * DAY) return `${Math.floor(passed / DAY)} d ago`;
  return new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone }).format(at);
}

/** `23 Nov 2026, 08:14`. */
export function dateTime(time: string | number, zone = timeZone): string {
  const at = typeof time === 'number' ? time : Date.parse(time);
  const form: Intl.DateTimeFormatOptions = {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    timeZone: zone,
  };
  return new Intl.DateTimeFormat('en-GB', form).format(at);
}

/** An interval of a chart: `Mon 23 Nov, 08:00 – 09:00`, or the day alone. */
export function interval(start: number, lengthS: number, zone = timeZone): string {
  const day = new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short', timeZone: zone });
  if (lengthS >= 86_400) {
    const last = start + lengthS * 1000 - 1;
    return lengthS === 86_400 ? day.format(start) : `${day.format(start)} – ${day.format(last)}`;
  }
  const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', timeZone: zone });
  return `${day.format(start)}, ${clock.format(start)} – ${clock.format(start + lengthS * 1000)}`;
}

/** The words for a length in seconds: `15 minutes`, `hour`, `day`. */
export function step(lengthS: number): string {
  const words: [number, string][] = [
    [86_400, 'day'],
    [3600, 'hour'],
    [60, 'minute'],
  ];
  for (const [unit, word] of words) {
    if (lengthS % unit === 0) {
      const count = lengthS / unit;
      return count === 1 ? word : `${count} ${word}s`;
    }
  }
  return `${lengthS} seconds`;
}

/** A time as the value of an `<input type="datetime-local">`, in the person's zone. */
export function toLocalInput(time: number): string {
  const local = new Date(time);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${local.getFullYear()}-${two(local.getMonth() + 1)}-${two(local.getDate())}`;
  return `${day}T${two(local.getHours())}:${two(local.getMinutes())}`;
}
