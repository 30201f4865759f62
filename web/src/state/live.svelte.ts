/** The stream of posts in view. New posts wait while someone reads, so that the list never jumps under him. */
import { paths, type LiveEvent, type Post } from '../api/queries';
import { backfill } from './backfill.svelte';
import { news } from './clock.svelte';

const SHOWN_MAX = 60;
const WAITING_MAX = 60;

export class Live {
  /** `lost`: the connection broke; the browser tries again by itself. */
  status = $state<'connecting' | 'live' | 'lost'>('connecting');
  shown = $state.raw<Post[]>([]);
  waiting = $state.raw<Post[]>([]);
  /** New posts in view while the list was held, those not kept included. */
  waitingCount = $state(0);
  /** Someone reads: do not move the list. */
  held = $state(false);
  #since = 0;

  follow(params: URLSearchParams): () => void {
    this.shown = [];
    this.waiting = [];
    this.waitingCount = 0;
    this.status = 'connecting';
    this.#since = Date.now();
    const source = new EventSource(paths.live(params));
    source.onopen = () => (this.status = 'live');
    source.onerror = () => (this.status = 'lost');
    source.addEventListener('posts', (event) => this.#take(JSON.parse(event.data) as LiveEvent));
    return () => source.close();
  }

  #take(event: LiveEvent): void {
    this.status = 'live';
    news();
    // History that is being loaded is not news.
    const isLoading = backfill.running.length > 0;
    const posts = isLoading ? event.posts.filter((post) => Date.parse(post.occurred_at) >= this.#since) : event.posts;
    if (posts.length === 0) return;
    if (this.held) {
      this.waiting = [...posts, ...this.waiting].slice(0, WAITING_MAX);
      this.waitingCount += isLoading ? posts.length : event.matched;
    } else {
      this.shown = [...posts, ...this.shown].slice(0, SHOWN_MAX);
    }
  }

  /** Shows what waited. */
  release = (): void => {
    this.shown = [...this.waiting, ...this.shown].slice(0, SHOWN_MAX);
    this.waiting = [];
    this.waitingCount = 0;
  };
}
