/** What one browser remembers: the only use of localStorage. */

export type Theme = 'auto' | 'light' | 'dark';

function stored(key: string): string | undefined {
  try {
    return localStorage.getItem(`overheard.${key}`) ?? undefined;
  } catch {
    return undefined;
  }
}

function store(key: string, value: string): void {
  try {
    localStorage.setItem(`overheard.${key}`, value);
  } catch {
    // Private windows may refuse; the preference then lasts as long as the page.
  }
}

const dark = matchMedia('(prefers-color-scheme: dark)');
const initial = stored('theme');
const state = $state<{ theme: Theme; systemDark: boolean }>({
  theme: initial === 'light' || initial === 'dark' ? initial : 'auto',
  systemDark: dark.matches,
});
dark.addEventListener('change', (event) => (state.systemDark = event.matches));

export const preferences = {
  get theme() {
    return state.theme;
  },
  get dark() {
    return state.theme === 'dark' || (state.theme === 'auto' && state.systemDark);
  },
};

export function setTheme(theme: Theme): void {
  state.theme = theme;
  store('theme', theme);
  apply();
}

export function apply(): void {
  if (state.theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = state.theme;
}
