// The page as a whole: who is signed in, where one is, and whether the server is there.

import { connection } from './connection.js';
import { fill, h } from './dom.js';
import { fullName, words } from './format.js';
import { icon, logo } from './icons.js';
import * as people from './people.js';
import { picker } from './picker.js';
import { Screen, parsePath } from './screen.js';
import { sidesPage } from './sides.js';
import { signInPage } from './sign-in.js';
import { applyTheme, themeButton } from './theme.js';
import { avatar, button, busy, countdownTo, describe, dialog, toast } from './ui.js';
import { undo } from './undo.js';
import { World } from './world.js';

const PRODUCT = 'demo-reset';
const PAGES = [
  ['cases', 'Cases', 'cases'], ['changes', 'My changes', 'changes'], ['reset', 'Reset', 'reset'], ['proof', 'Proof', 'proof'],
  ['side-by-side', 'Side by side', 'sides'],
];
const app = document.getElementById('app');
let leave = () => {};

const path = () => location.hash.slice(1) || '/cases';
const setTitle = (title) => { document.title = `${title} · ${PRODUCT}`; };

function showSignIn(message = null, email = '') {
  leave();
  leave = () => {};
  setTitle('Sign in');
  fill(app, awayBanner(), signInPage({ email, message, extra: themeButton(), onsigned: ({ user }) => { people.setActive(user.email); showShell(user); } }));
}

function start() {
  const entry = people.signedIn(people.activeEmail());
  if (entry) showShell(entry.user);
  else showSignIn();
}

/** Everything around the pages, for one person. */
function showShell(user) {
  leave();
  const world = new World({ user, go });
  world.replace = (to) => history.replaceState(null, '', `#${to}`);
  world.back = () => (history.length > 1 ? history.back() : go('/cases'));

  const content = h('main', { id: 'content', class: 'screen', tabindex: '-1' });
  const screen = new Screen(content, world, setTitle);
  const nav = h('ul');
  const undoBox = h('div', { class: 'undo-box' });
  let sides = null;

  function go(to, { again = false } = {}) {
    if (path() === to) {
      if (again) show(true);
      return;
    }
    location.hash = to;
  }

  async function show(isFocused) {
    const [first] = parsePath(path()).path;
    showNav(first ?? 'cases');
    sides?.dispose();
    sides = null;
    content.classList.toggle('screen', first !== 'side-by-side');
    if (first !== 'side-by-side') {
      await screen.show(path(), { isFocused });
      return;
    }
    screen.leave();
    try {
      sides = await sidesPage({ user, onwrite: () => world.changed() });
      fill(content, sides.node);
      setTitle(sides.title);
      if (isFocused) content.querySelector('h1').focus();
    } catch (error) {
      fill(content, h('div', { class: 'page' }, h('p', { role: 'alert' }, describe(error))));
    }
  }

  function showNav(current) {
    const entries = world.isAdministrator ? [...PAGES, ['admin', 'Administration', 'admin']] : PAGES;
    const changed = world.session?.totalChanges ?? 0;
    const isHere = (name) => name === current || (name === 'cases' && (current === 'reports'));
    fill(nav, entries.map(([name, text, iconName]) => h('li', {}, h('a', { href: `#/${name}`, 'aria-current': isHere(name) ? 'page' : null }, icon(iconName), h('span', {}, text),
      name === 'changes' && changed > 0 && h('span', { class: 'badge' }, changed, h('span', { class: 'hidden' }, ` ${changed === 1 ? 'change' : 'changes'}`))))));
    // Where the pages stand in a row that is too long, the one that is shown is in sight.
    const here = nav.querySelector('[aria-current]');
    if (here) nav.parentElement.scrollLeft = here.offsetLeft - (nav.parentElement.clientWidth - here.offsetWidth) / 2;
  }

  function showUndo() {
    const archive = world.archives.find(({ state }) => state === 'available');
    fill(undoBox, archive && [
      h('p', {}, h('strong', {}, 'Reset done'), h('span', { class: 'muted' }, 'Undo within '), countdownTo(archive.undoExpiresAt, () => world.refresh().catch(() => {}))),
      button('Undo', (event) => busy(event.target, () => undo(world, archive.archiveId)), { iconName: 'reset' })]);
  }

  async function switchPerson() {
    const offered = await people.demoPeople().catch(() => []);
    const email = await dialog('Be somebody else', (close) => h('div', { class: 'dialog-body' },
      picker(offered, { chosen: user.email, onpick: (person) => close(person.email), note: (person) => people.signedIn(person.email) && ', signed in' })), { wide: true });
    if (!email || email === user.email) return;
    if (!people.canBecome(email)) {
      showSignIn('The password once more: this page forgot it when it was loaded anew.', email);
      return;
    }
    try {
      const entry = people.signedIn(email) ?? await people.signIn(email);
      people.setActive(email);
      // Of another organization, or deleted in another world: what is open here need not exist there.
      const [first] = parsePath(path()).path;
      if (['reports', 'admin'].includes(first)) history.replaceState(null, '', '#/cases');
      showShell(entry.user);
      toast(`This is the world of ${fullName(entry.user)} now.`);
    } catch (error) {
      toast(describe(error), { kind: 'bad' });
    }
  }

  const onsession = () => { showNav(parsePath(path()).path[0] ?? 'cases'); showUndo(); };
  const onhash = () => show(true);
  const onback = () => world.refresh().catch(() => {});
  world.addEventListener('session', onsession);
  world.addEventListener('expired', () => showSignIn('Your sign-in has expired. Sign in again to go on where you were.', user.email));
  window.addEventListener('hashchange', onhash);
  connection.addEventListener('back', onback);
  leave = () => {
    window.removeEventListener('hashchange', onhash);
    connection.removeEventListener('back', onback);
    sides?.dispose();
    screen.dispose();
  };

  fill(app, awayBanner(),
    h('a', { class: 'skip', href: '#content', onclick: (event) => { event.preventDefault(); content.focus(); } }, 'Skip to the content'),
    h('div', { class: 'shell' },
      h('header', { class: 'side-bar' },
        h('p', { class: 'brand' }, logo(), PRODUCT),
        h('div', { class: 'me' }, avatar(user), h('div', { class: 'me-name' }, h('strong', {}, fullName(user)), h('span', { class: 'muted' }, words(user.role)))),
        h('nav', { 'aria-label': 'Pages' }, nav), undoBox,
        h('div', { class: 'side-foot' }, button('Switch person', switchPerson, { kind: 'quiet' }),
          button([h('span', { class: 'label' }, 'Sign out')], () => { people.signOut(); sessionStorage.removeItem('demo-reset.sides'); history.replaceState(null, '', '#/cases'); showSignIn('Signed out.'); }, { kind: 'quiet', iconName: 'out' }), themeButton())),
      content));
  showNav(parsePath(path()).path[0] ?? 'cases');
  world.refresh().catch(() => {});
  show(false);
}

/** Told at the top while the server is away. */
function awayBanner() {
  const node = h('div', { class: 'away', role: 'alert', hidden: !connection.away });
  const show = () => {
    node.hidden = !connection.away;
    fill(node, connection.away && [icon('warn'), h('span', {}, 'The server does not answer. Nothing is lost: this page asks again by itself.'), button('Ask now', () => connection.tryNow(), { kind: 'quiet' })]);
  };
  for (const name of ['away', 'back']) {
    connection.addEventListener(name, () => {
      if (!node.isConnected) return;
      show();
      if (name === 'back') toast('The server is back.', { kind: 'good' });
    });
  }
  show();
  return node;
}

window.addEventListener('unhandledrejection', (event) => toast(describe(event.reason), { kind: 'bad' }));
history.scrollRestoration = 'manual';
applyTheme();
start();

