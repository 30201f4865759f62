/** Calls to the API. Errors are thrown as `Refused`, with the server's message and the field that it is about. */

export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly field?: string,
    readonly begin?: number,
    readonly end?: number,
  ) {
    super(message);
  }
}

type Listener = () => void;
const onSignedOut: Listener[] = [];

/** Called when the server no longer knows who we are. */
export function whenSignedOut(listener: Listener): void {
  onSignedOut.push(listener);
}

async function refusal(response: Response): Promise<Refused> {
  const problem = await response.json().catch(() => ({}));
  const message = problem.message ?? `The server returned an unexpected error (${response.status}). Try again.`;
  return new Refused(response.status, message, problem.field, problem.begin, problem.end);
}

async function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      signal: signal ?? null,
      headers: body === undefined || body instanceof Blob ? {} : { 'content-type': 'application/json' },
      body: body === undefined ? null : body instanceof Blob ? body : JSON.stringify(body),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Refused(0, 'Can’t reach the server. Check that Overheard is running and try again.');
  }
  if (response.ok) return response;
  const refused = await refusal(response);
  if (response.status === 401 && !path.startsWith('/api/session')) for (const listener of onSignedOut) listener();
  throw refused;
}

/** Reads. */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await send('GET', path, undefined, signal)).json() as Promise<T>;
}

/** Sends a file as it is. */
export async function upload<T>(path: string, file: File): Promise<T> {
  return (await send('POST', path, file)).json() as Promise<T>;
}

/** Writes; gives the answer where there is one. */
export async function write<T = void>(
  method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<T> {
  const response = await send(method, path, body);
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}
