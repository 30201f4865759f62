/** Keyboard shortcuts that work on every page. */
import { go } from './router.svelte';

export const SHORTCUTS: readonly { keys: string[]; does: string }[] = [
  { keys: ['j'], does: 'Next post' },
  { keys: ['k'], does: 'Previous post' },
  { keys: ['Enter'], does: 'Open the selected post' },
  { keys: ['Esc'], does: 'Close the post or dialog' },
  { keys: ['/'], does: 'Search posts' },
  { keys: ['?'], does: 'Show keyboard shortcuts' },
];

const POSTS = 'article[data-post]';
const isTyping = (target: Element) => target.closest('input, textarea, select, [contenteditable], dialog') !== null;

/** Handles a key that no other element used. `help` shows the shortcuts. */
export function press(event: KeyboardEvent, help: () => void): void {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target as Element;
  if (isTyping(target)) return;
  if (event.key === 'j' || event.key === 'k') move(event.key === 'j' ? 1 : -1);
  else if (event.key === 'Enter' && target.matches(POSTS)) open(target);
  else if (event.key === '/') search();
  else if (event.key === '?') help();
  else return;
  event.preventDefault();
}

const open = (post: Element) => post.querySelector<HTMLElement>('a.time')?.click();

/** Selects the next or previous post. Beside an open post, opens it. */
function move(by: 1 | -1): void {
  const posts = [...document.querySelectorAll<HTMLElement>(POSTS)];
  const opened = new URLSearchParams(location.search).get('post');
  const focused = posts.findIndex((post) => post.contains(document.activeElement));
  const at = focused >= 0 ? focused : posts.findIndex((post) => opened !== null && post.dataset.post === opened);
  const next = posts[at < 0 ? 0 : at + by];
  if (!next) return;
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: 'nearest' });
  if (opened !== null) open(next);
}

function search(): void {
  const field = () => document.querySelector<HTMLInputElement>('[role="search"] input');
  if (field()) field()!.focus();
  else {
    go('/posts');
    const end = Date.now() + 3_000;
    const focus = () => (field() ? field()!.focus() : Date.now() < end && setTimeout(focus, 50));
    focus();
  }
}
