// Who is signed in in this tab.
//
// Tokens are kept for the tab alone (`sessionStorage`), so a reload keeps everybody signed in, and another tab can be
// somebody else. The password is kept in memory only: it is enough to switch people without typing it again, and it
// is gone with the page.

import { call } from './api.js';

const STORE = 'demo-reset.people';

let password = null;

function load() {
  try {
    return JSON.parse(sessionStorage.getItem(STORE)) ?? { active: null, signedIn: {} };
  } catch {
    return { active: null, signedIn: {} };
  }
}

function save(change) {
  const stored = load();
  change(stored);
  sessionStorage.setItem(STORE, JSON.stringify(stored));
}

/** The address of the person whom the tab shows. */
export const activeEmail = () => load().active;

export function setActive(email) {
  save((stored) => { stored.active = email; });
}

/** `{token, user}` of a person who is signed in. */
export function signedIn(email) {
  const found = load().signedIn[email];
  return found && found.expiresAt > Date.now() ? found : null;
}

export const knowsPassword = () => password !== null;

/** Whether a person can be shown without typing the password. */
export const canBecome = (email) => signedIn(email) !== null || knowsPassword();

/** Signs a person in; with the password that was typed before where none is given. */
export async function signIn(email, given = password) {
  const { data } = await call('POST', '/auth/login', { body: { email, password: given } });
  password = given;
  const entry = { token: data.accessToken, user: data.user, expiresAt: Date.now() + data.expiresIn * 1000 };
  save((stored) => { stored.signedIn[data.user.email] = entry; });
  return entry;
}

/** Forgets a person's token. */
export function forget(email) {
  save((stored) => { delete stored.signedIn[email]; });
}

/** Forgets everybody and the password. */
export function signOut() {
  password = null;
  sessionStorage.removeItem(STORE);
}

let offered = null;

/** The people whom the server offers for sign-in; none where it offers nobody. */
export function demoPeople() {
  offered ??= call('GET', '/auth/demo-people').then(({ data }) => data.items).catch((error) => {
    offered = null;
    if (error.name === 'Away') throw error;
    return [];
  });
  return offered;
}
