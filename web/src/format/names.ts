/** Codes as words: languages, countries, platforms. Pure. */
import type { Dimension } from '../filters/dimensions';
import platforms from './platforms.json';

const languages = new Intl.DisplayNames('en', { type: 'language', fallback: 'code' });
const countries = new Intl.DisplayNames('en', { type: 'region', fallback: 'code' });

/** Written by the test `golden_platform_names` of the crate `domain`. */
const PLATFORMS: Record<string, string> = platforms;

function orCode(name: () => string | undefined, code: string): string {
  try {
    return name() ?? code;
  } catch {
    return code;
  }
}

export function language(code: string): string {
  if (code === 'und') return 'Unknown language';
  return orCode(() => languages.of(code), code);
}

export function country(code: string): string {
  return /^[A-Za-z]{2}$/.test(code) ? orCode(() => countries.of(code.toUpperCase()), code) : code;
}

export function platform(code: string): string {
  return PLATFORMS[code] ?? capital(code);
}

export function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** A value of a dimension in words. */
export function value(name: Dimension, code: string): string {
  switch (name) {
    case 'language':
      return language(code);
    case 'country':
      return country(code);
    case 'platform':
      return platform(code);
    case 'sentiment':
      return capital(code);
    case 'category':
      return capital(code.replaceAll('_', ' '));
    case 'hashtag':
      return `#${code.replace(/^#/, '')}`;
    case 'author':
      return `@${code}`;
    default:
      return code;
  }
}
