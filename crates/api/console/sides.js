// Side by side: two people's worlds, so that one sees that what happens in one does not happen in the other.

import { fill, h } from './dom.js';
import { count, fullName, words } from './format.js';
import { link } from './links.js';
import * as people from './people.js';
import { Screen } from './screen.js';
import { avatar, button, busy, countdownTo, describe, notice, select } from './ui.js';
import { undo } from './undo.js';
import { World } from './world.js';

const STORE = 'demo-reset.sides';

const remembered = () => { try { return JSON.parse(sessionStorage.getItem(STORE)) ?? []; } catch { return []; } };

/** The page. `user` is whom the rest of the page shows; `onwrite` hears when that person's world was written here. */
export async function sidesPage({ user, onwrite }) {
  const offered = await people.demoPeople();
  const others = offered.length > 0 ? offered : [user];
  const start = remembered();
  const emails = [start[0] ?? user.email, null];
  emails[1] = start[1] ?? others.find((person) => person.email !== emails[0] && person.organization === others.find(({ email }) => email === emails[0])?.organization)?.email ?? null;
  let follows = true;

  const sides = [0, 1].map((at) => new Side(at, {
    others,
    taken: () => sides[1 - at].email,
    ongo: (path) => { if (follows) sides[1 - at].show(path); },
    onwrite: (email) => { sides[1 - at].readAnew(); if (email === user.email) onwrite(); },
    onperson: () => sessionStorage.setItem(STORE, JSON.stringify(sides.map(({ email }) => email))),
  }));
  const follow = h('label', { class: 'inline' }, h('input', { type: 'checkbox', class: 'check', checked: true, onchange: (event) => { follows = event.target.checked; } }), 'Show the same page in both');
  const node = h('section', { class: 'sides-page' },
    h('header', { class: 'page-head' }, h('div', {}, h('h1', { tabindex: '-1' }, 'Side by side'),
      h('p', { class: 'muted' }, 'Two people, one database. Edit a case on one side: nothing moves on the other.')), h('div', { class: 'actions' }, follow)),
    h('div', { class: 'sides' }, sides.map((side) => side.node)));
  sides.forEach((side, at) => side.become(emails[at]));
  return { title: 'Side by side', node, dispose: () => sides.forEach((side) => side.dispose()) };
}

class Side {
  email = null;
  #world = null;
  #screen = null;
  #path = '/cases';

  constructor(at, hooks) {
    this.hooks = hooks;
    this.head = h('header', { class: 'side-head' });
    this.body = h('div', { class: 'side-body screen', tabindex: '0', role: 'region' });
    this.told = h('p', { class: 'side-told', role: 'status' });
    this.node = h('section', { class: `side ${at === 0 ? 'side-left' : 'side-right'}` }, this.head, this.told, this.body);
  }

  /** Shows this person's world; asks for the password where it is needed. */
  async become(email) {
    this.#screen?.dispose();
    this.#world = null;
    this.email = email;
    if (!email) { this.#choose(); return; }
    let entry = people.signedIn(email);
    try {
      if (!entry && people.knowsPassword()) entry = await people.signIn(email);
    } catch (error) {
      this.#choose(describe(error));
      return;
    }
    if (!entry) { this.#askPassword(email); return; }
    this.hooks.onperson();
    const world = new World({ user: entry.user, isPane: true, scroller: this.body, go: (path) => { this.show(path); this.hooks.ongo(path); } });
    world.replace = (path) => { this.#path = path; };
    world.back = () => world.go('/cases');
    world.addEventListener('changed', () => { this.told.textContent = ''; this.hooks.onwrite(email); });
    world.addEventListener('session', () => this.#showHead());
    world.addEventListener('expired', () => this.#askPassword(email));
    this.#world = world;
    this.#screen = new Screen(this.body, world);
    this.body.setAttribute('aria-label', `The world of ${fullName(entry.user)}`);
    this.#showHead();
    await world.refresh().catch(() => {});
    await this.#screen.show(this.#path);
  }

  show(path) {
    this.#path = path;
    this.told.textContent = '';
    return this.#screen?.show(path);
  }

  /** The other side wrote: reads this one anew, and says whether anything moved. */
  async readAnew() {
    if (!this.#world) return;
    const before = [this.body.textContent, this.#world.session?.totalChanges];
    const top = this.body.scrollTop;
    try {
      await this.#world.refresh();
      await this.#screen.show(this.#path);
      await new Promise((resolve) => { setTimeout(resolve, 300); });
    } catch (error) {
      this.told.textContent = describe(error);
      return;
    }
    this.body.scrollTop = top;
    const isSame = before[0] === this.body.textContent && before[1] === this.#world.session?.totalChanges;
    this.told.textContent = isSame ? 'Read anew after the change on the other side: nothing moved here.' : 'Read anew after the change on the other side.';
    this.told.classList.remove('fresh');
    requestAnimationFrame(() => this.told.classList.add('fresh'));
  }

  #people(label) {
    const taken = this.hooks.taken();
    const options = this.hooks.others.filter(({ email }) => email !== taken).map((person) => [person.email, `${fullName(person)}, ${words(person.role).toLowerCase()}`]);
    return select(label, [['', 'Choose somebody'], ...options], this.email ?? '', (email) => this.become(email || null));
  }

  #showHead() {
    const world = this.#world;
    const changed = world.session?.totalChanges ?? 0;
    const archive = world.archives.find(({ state }) => state === 'available');
    fill(this.head, h('div', { class: 'side-person' }, avatar(world.user), this.#people('Person on this side')),
      h('nav', { class: 'side-nav', 'aria-label': `Pages of ${fullName(world.user)}` },
        link(world, '/cases', {}, 'Cases'), link(world, '/changes', {}, 'My changes', changed > 0 && h('span', { class: 'badge' }, changed)),
        h('span', { class: 'grow' }),
        archive && button(['Undo ', countdownTo(archive.undoExpiresAt, () => world.refresh())], (event) => busy(event.currentTarget, () => undo(world, archive.archiveId)), { kind: 'quiet' }),
        changed > 0 && button(`Reset ${count(changed, 'change')}`, (event) => busy(event.currentTarget, async () => {
          const report = await world.send('POST', '/demo/reset', { confirmationToken: 'CONFIRM_RESET' });
          this.told.textContent = `Reset in ${report.durationMs.toFixed(2)} ms.`;
          await this.#screen.show(this.#path);
        }), { kind: 'quiet' })));
  }

  #choose(message = null) {
    fill(this.head, h('div', { class: 'side-person' }, this.#people('Person on this side')));
    fill(this.body, h('div', { class: 'page' }, message && notice('bad', message), h('p', { class: 'muted' }, 'Choose whose world to see here.')));
  }

  #askPassword(email) {
    const person = this.hooks.others.find((each) => each.email === email);
    const field = h('input', { type: 'password', class: 'field', 'aria-label': 'Password', autocomplete: 'current-password', required: true });
    const problem = h('div', { role: 'alert' });
    const submit = button('Show', null, { kind: 'primary' });
    submit.type = 'submit';
    this.#choose();
    fill(this.body, h('form', { class: 'page side-password', onsubmit: async (event) => {
      event.preventDefault();
      try {
        await people.signIn(email, field.value);
        await this.become(email);
      } catch (error) {
        fill(problem, notice('bad', describe(error)));
      }
    } }, h('p', {}, `The password, to see the world of ${person ? fullName(person) : email}. It is the same for everybody, and this page keeps it until it is closed.`), field, submit, problem));
  }

  dispose() {
    this.#screen?.dispose();
    this.#world = null;
  }
}

