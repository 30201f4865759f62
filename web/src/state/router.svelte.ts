/** Where we are. Every link is a real one; clicks on our own are answered without a reload. */
import { read, write, type Filters } from '../filters/filters';

const here = $state({ path: location.pathname, search: location.search });
const filtersHere = $derived(read(here.search));

export const route = {
  get path() {
    return here.path;
  },
  get search() {
    return here.search;
  },
};

export function filters(): Filters {
  return filtersHere;
}

/** A parameter of the page's own. */
export function own(name: string): string | undefined {
  return new URLSearchParams(here.search).get(name) ?? undefined;
}

export function go(href: string, replace = false): void {
  const url = new URL(href, location.href);
  const samePage = url.pathname === here.path;
  if (url.pathname + url.search === here.path + here.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', url);
  here.path = url.pathname;
  here.search = url.search;
  if (!samePage) {
    window.scrollTo(0, 0);
    // Screen readers go on from the new page's heading.
    requestAnimationFrame(() => document.getElementById('content')?.focus({ preventScroll: true }));
  }
}

/** The address of this or another page with these filters. */
export function href(next: Filters, path = here.path, ownParams: Record<string, string | undefined> = {}): string {
  return path + write(next, ownParams);
}

/** Goes on with other filters on the same page, its own parameters kept but for those named. */
export function refine(next: Filters, ownParams: Record<string, string | undefined> = {}): void {
  go(href(next, here.path, { ...keptParams(), ...ownParams }));
}

const FILTER_PARAMS = new Set(['range', 'from', 'to', 'q', 'reposts']);

function keptParams(): Record<string, string> {
  const dimensions = new Set<string>(Object.keys(filtersHere.values));
  const entries = [...new URLSearchParams(here.search)];
  return Object.fromEntries(entries.filter(([key]) => !FILTER_PARAMS.has(key) && !dimensions.has(key)));
}

/** The same view with one of the page's own parameters changed. */
export function withOwn(ownParams: Record<string, string | undefined>): string {
  return href(filtersHere, here.path, { ...keptParams(), ...ownParams });
}

export function start(): void {
  window.addEventListener('popstate', () => {
    here.path = location.pathname;
    here.search = location.search;
  });
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = (event.target as Element).closest?.('a');
    if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (/^\/(api|openapi\.json|metrics)/.test(link.pathname)) return;
    event.preventDefault();
    go(link.href);
  });
}
