/** Who is signed in. */
import { get, Refused } from '../api/client';
import type { Me, Role } from '../api/queries';

const RANK: Record<Role, number> = { viewer: 0, analyst: 1, admin: 2 };

const state = $state<{ me: Me | undefined; known: boolean; unreachable: boolean }>({
  me: undefined,
  known: false,
  unreachable: false,
});

export const session = {
  get me() {
    return state.me;
  },
  /** We know whether someone is signed in. */
  get known() {
    return state.known;
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
  try {
    signedIn(await get<Me>('/api/session'));
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return signedIn(undefined);
    state.unreachable = true;
  }
}
