// Signing in: a picker of demo people, and the password that all of them share.

import { Away } from './api.js';
import { layers } from './charts.js';
import { connection } from './connection.js';
import { fill, h } from './dom.js';
import { logo } from './icons.js';
import { demoPeople, signIn } from './people.js';
import { markChosen, picker } from './picker.js';
import { button, describe, notice, skeleton } from './ui.js';

/** The page of sign-in; `onsigned({token, user})`. */
export function signInPage({ email = '', message = null, onsigned, extra }) {
  const who = h('input', { id: 'email', class: 'field', type: 'email', name: 'email', autocomplete: 'username', required: true, value: email });
  const password = h('input', { id: 'password', class: 'field', type: 'password', name: 'password', autocomplete: 'current-password', required: true });
  const problem = h('div', { role: 'alert' });
  const submit = button('Sign in', null, { kind: 'primary' });
  submit.type = 'submit';
  const offered = h('div', {}, skeleton(6));

  const onsubmit = async (event) => {
    event.preventDefault();
    if (!who.value || !password.value) {
      fill(problem, notice('bad', who.value ? 'The password is missing.' : 'Choose somebody first.'));
      (who.value ? password : who).focus();
      return;
    }
    submit.disabled = true;
    fill(problem);
    try {
      onsigned(await signIn(who.value.trim(), password.value));
    } catch (error) {
      fill(problem, notice('bad', describe(error)));
      password.select();
      password.focus();
    } finally {
      submit.disabled = false;
    }
  };

  async function offer() {
    try {
      const people = await demoPeople();
      const node = picker(people, {
        chosen: email,
        onpick: (person) => { who.value = person.email; markChosen(node, person.email); password.focus(); },
      });
      who.addEventListener('input', () => markChosen(node, who.value.trim()));
      fill(offered, people.length > 0 && [h('h2', {}, 'Who do you want to be?'), node]);
    } catch (error) {
      if (error instanceof Away) connection.addEventListener('back', offer, { once: true });
      fill(offered, notice('bad', describe(error)));
    }
  }
  offer();

  const promise = (title, text) => h('li', {}, h('strong', {}, title), h('span', {}, text));
  return h('div', { class: 'welcome' },
    h('header', { class: 'story' },
      h('p', { class: 'brand' }, logo(), 'demo-reset'),
      h('h1', {}, 'One demo, and everybody has it to themselves.'),
      layers(),
      h('ul', {},
        promise('Everyone starts from the same data.', 'Three years of compliance cases of a made-up company.'),
        promise('What you change, only you see.', 'Your changes lie in a layer of your own, over data that is never written.'),
        promise('Reset takes it back at once.', 'And undo brings it back again, to the byte, for a day.'))),
    h('main', { class: 'sign-in' },
      h('div', { class: 'sign-in-top' }, extra),
      message && notice('info', message), offered,
      h('form', { class: 'sign-in-form', onsubmit, novalidate: true },
        h('div', { class: 'form-row' }, h('label', { for: 'email' }, 'E-mail'), who),
        h('div', { class: 'form-row' }, h('label', { for: 'password' }, 'Password'), password),
        submit, problem,
        h('p', { class: 'muted' }, 'All of them share one password. It was printed when the server first started, unless DEMO_USER_PASSWORD sets it.'))));
}
