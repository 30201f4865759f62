/** What a failed request means and what to do next, by its status. Pure, and tested. */

interface Advice {
  title: string;
  next?: string;
}

export function advice(status: number): Advice {
  if (status >= 500) {
    return {
      title: 'Server error.',
      next: 'Try again. If it keeps failing, check the System page and the server log.',
    };
  }
  switch (status) {
    case 0:
      return { title: 'No connection.' };
    case 401:
      return { title: 'Signed out.', next: 'Sign in again.' };
    case 403:
      return { title: 'Not allowed.', next: 'Ask an admin for a role that allows this.' };
    case 404:
      return { title: 'Not found.', next: 'It may have been deleted in the meantime. Reload the page.' };
    case 413:
      return { title: 'Too large.', next: 'Shorten it and try again.' };
    case 429:
      return { title: 'Too many requests.', next: 'Wait a moment, then try again.' };
    default:
      return { title: 'Invalid request.' };
  }
}
