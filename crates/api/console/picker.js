// Choosing one of the demo people.

import { h } from './dom.js';
import { fullName, words } from './format.js';
import { avatar } from './ui.js';

/** The people, one organization after the other. `onpick(person)`. */
export function picker(people, { chosen = null, onpick, note = () => null }) {
  const organizations = Map.groupBy(people, (person) => person.organization);
  return h('div', { class: 'picker' }, [...organizations].map(([organization, members]) => h('section', {},
    h('h3', {}, organization),
    h('ul', {}, members.map((person) => h('li', {}, h('button', {
      type: 'button', class: 'person-card', 'aria-pressed': String(person.email === chosen), 'data-email': person.email, onclick: () => onpick(person),
    }, avatar(person), h('span', {}, h('strong', {}, fullName(person)), h('span', { class: 'muted' }, words(person.role), note(person))))))))));
}

/** Marks the chosen one. */
export function markChosen(node, email) {
  for (const each of node.querySelectorAll('.person-card')) each.setAttribute('aria-pressed', String(each.dataset.email === email));
}
