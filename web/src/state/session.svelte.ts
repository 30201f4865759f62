/** Who is signed in. */
import { get, Refused } from '../api/client';
import { signInByLink, type Me, type Role } from '../api/queries';

const RANK: Record<Role, number> = { viewer: 0, analyst: 1, admin: 2 };

const state = $state<{ me: Me | undefined; known: boolean; unreachable: boolean; refusal: string }>({
  me: undefined,
  known: false,
  unreachable: false,
  refusal: '',
});

export const session = {
  get me() {
    return state.me;
  },
  /** We know whether someone is signed in. */
  get known() {
    return state.known;
  },
  /** Why the sign-in link did not work. */
  get refusal() {
    return state.refusal;
  },
  get unreachable() {
    return state.unreachable;
  },
};

export function may(role: Role): boolean {
  return state.me !== undefined && RANK[state.me.role] >= RANK[role];
}

export function signedIn(me: Me | undefined): void {
  state.me = me;
  state.known = true;
  state.unreachable = false;
}

export async function load(): Promise<void> {
  const secret = takeSecret();
  try {
    signedIn(await get<Me>('/api/session'));
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 401) state.unreachable = true;
    else if (secret) await followLink(secret);
    else signedIn(undefined);
  }
}

/** The secret of a sign-in link, which then is no longer part of the address and its history. */
function takeSecret(): string | undefined {
  const secret = /^#sign-in=(\w+)$/.exec(location.hash)?.[1];
  if (secret) history.replaceState(null, '', location.pathname + location.search);
  return secret;
}

async function followLink(secret: string): Promise<void> {
  try {
    signedIn(await signInByLink(secret));
  } catch (error) {
    state.refusal = error instanceof Refused ? error.message : 'Sign-in failed.';
    signedIn(undefined);
  }
}
