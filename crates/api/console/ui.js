// The parts that pages are made of.

import { Away, Problem } from './api.js';
import { connection } from './connection.js';
import { fill, h, newId, s } from './dom.js';
import { capital, countdown, initials, words } from './format.js';
import { icon } from './icons.js';

/** A button. `kind`: `primary`, `quiet`, `danger`, or the plain one. */
export function button(label, onclick, { kind = 'plain', iconName = null, ...props } = {}) {
  return h('button', { type: 'button', class: `button button-${kind}`, onclick, ...props }, iconName && icon(iconName), label);
}

/** A person's initials in a circle of the person's own colour. */
export function avatar(person, size = '') {
  const seed = [...person.email].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
  return h('span', { class: `avatar ${size}`, 'aria-hidden': 'true', style: { '--hue': seed } }, initials(person));
}

/** How severe: a word, and as many bars. */
export function severity(value) {
  const level = ['LOW', 'MEDIUM', 'HIGH', 'CRITICAL'].indexOf(value) + 1;
  const bars = [1, 2, 3, 4].map((at) => s('rect', {
    x: (at - 1) * 4, y: 10 - at * 2.500, width: 2.500, height: at * 2.500, rx: 0.600, class: at <= level ? 'on' : 'off',
  }));
  return h('span', { class: `severity severity-${value.toLowerCase()}` },
    s('svg', { viewBox: '0 0 15 10', 'aria-hidden': 'true' }, bars), words(value));
}

/** A status with a dot. */
export function status(value) {
  return h('span', { class: `status status-${value.toLowerCase()}` }, words(value));
}

/** What this session did to a record, in the ink of the person's layer; nothing for base data. */
export function mark(kind) {
  if (!kind) return null;
  return h('span', { class: `mark mark-${kind}` }, capital(kind));
}

/** A radio group that looks like a row of buttons. */
export function segmented(label, options, value, onchange) {
  const name = newId('segment');
  const choose = (event) => onchange(event.target.value);
  return h('fieldset', { class: 'segmented' }, h('legend', { class: 'hidden' }, label),
    options.map(([key, text]) => h('label', {},
      h('input', { type: 'radio', name, checked: key === value, onchange: choose, value: key }), h('span', {}, text))));
}

/** A drop-down. */
export function select(label, options, value, onchange, props = {}) {
  return h('select', { 'aria-label': label, class: 'field', onchange: (event) => onchange(event.target.value), value, ...props },
    options.map(([key, text]) => h('option', { value: key, selected: key === value }, text)));
}

/** Text where there is nothing to show. */
export function empty(title, text, ...actions) {
  return h('div', { class: 'empty' }, h('h2', {}, title), text && h('p', {}, text), actions.length > 0 && h('div', { class: 'actions' }, actions));
}

/** A short notice of a kind: `info`, `good`, `bad`. */
export function notice(kind, ...content) {
  return h('div', { class: `notice notice-${kind}`, role: kind === 'bad' ? 'alert' : null }, content);
}

/** Lines where content is about to be. */
export function skeleton(lines = 6) {
  const widths = ['38%', '92%', '84%', '61%', '88%', '47%'];
  return h('div', { class: 'skeleton', 'aria-hidden': 'true' },
    Array.from({ length: lines }, (_, at) => h('span', { style: { width: widths[at % widths.length] } })));
}

/** What an error says to people. */
export function describe(error) {
  if (error instanceof Away) return 'The server does not answer. This page asks again by itself.';
  if (error instanceof Problem) return error.message + (error.status >= 500 && error.requestId ? ` (request ${error.requestId})` : '');
  return `This page made a mistake: ${error.message}`;
}

/** An error in place of content, with a way to try again. */
export function failure(error, retry) {
  const title = error instanceof Away ? 'The server is away' : 'This did not work';
  return h('div', { class: 'empty', role: 'alert' }, h('h2', {}, title), h('p', {}, describe(error)),
    retry && h('div', { class: 'actions' }, button('Try again', retry)));
}

/** Tells something at the lower edge for a while; read out politely. */
export function toast(text, { action = null, onaction = null, kind = 'info' } = {}) {
  const box = document.getElementById('toasts');
  const item = h('div', { class: `toast toast-${kind}` }, h('p', {}, text),
    action && button(action, () => { item.remove(); onaction(); }, { kind: 'quiet' }),
    h('button', { type: 'button', class: 'button-icon', 'aria-label': 'Dismiss', onclick: () => item.remove() }, icon('close')));
  box.append(item);
  while (box.children.length > 3) box.firstElementChild.remove();
  setTimeout(() => item.remove(), action ? 12_000 : 6_000);
}

/**
 * A modal dialog. `content(close)` makes its body; `close(value)` ends it, and the promise gives the value, or null
 * when it was dismissed.
 */
export function dialog(title, content, { wide = false } = {}) {
  return new Promise((resolve) => {
    const id = newId('dialog');
    let answer = null;
    const close = (value = null) => { answer = value; node.close(); };
    const node = h('dialog', { class: wide ? 'dialog dialog-wide' : 'dialog', 'aria-labelledby': id },
      h('header', {}, h('h2', { id }, title),
        h('button', { type: 'button', class: 'button-icon', 'aria-label': 'Close', onclick: () => close() }, icon('close'))),
      content(close));
    // Focus goes to what the dialog is about, not to the button that ends it.
    if (!node.querySelector('[autofocus]')) {
      const heading = node.querySelector('h2');
      heading.tabIndex = -1;
      heading.autofocus = true;
    }
    node.addEventListener('close', () => { node.remove(); resolve(answer); });
    document.body.append(node);
    node.showModal();
  });
}

/** Asks before something is done; whether it was confirmed. */
export function confirm(title, text, label, { kind = 'primary' } = {}) {
  return dialog(title, (close) => h('div', { class: 'dialog-body' },
    [text].flat().map((part) => (typeof part === 'string' ? h('p', {}, part) : part)),
    h('footer', {}, button('Cancel', () => close(false)), button(label, () => close(true), { kind, autofocus: true })))).then(Boolean);
}

/** Runs something on a click; the button waits meanwhile, and a failure is told. */
export async function busy(node, work) {
  node.disabled = true;
  node.setAttribute('aria-busy', 'true');
  try {
    return await work();
  } catch (error) {
    toast(describe(error), { kind: 'bad' });
    return undefined;
  } finally {
    node.disabled = false;
    node.removeAttribute('aria-busy');
  }
}

/** The time left until `until` on the server's clock; `onend` when it is over. Stops by itself once it is off the page. */
export function countdownTo(until, onend) {
  const end = new Date(until).getTime();
  const node = h('time', { class: 'countdown', datetime: until, role: 'timer', 'aria-live': 'off' });
  let wasShown = false;
  const tick = () => {
    if (wasShown && !node.isConnected) { clearInterval(timer); return; }
    wasShown ||= node.isConnected;
    const left = end - connection.now();
    node.textContent = countdown(left);
    if (left <= 0) { clearInterval(timer); onend?.(); }
  };
  const timer = setInterval(tick, 1000);
  tick();
  return node;
}
