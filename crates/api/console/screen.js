// A place where pages of one world are shown: the whole window, or one half of side by side.

import { Away } from './api.js';
import { connection } from './connection.js';
import { fill, h } from './dom.js';
import { failure, skeleton } from './ui.js';
import { caseView } from './views/case.js';
import { casesView } from './views/cases.js';
import { changesView } from './views/changes.js';
import { resetView } from './views/reset.js';
import { proofView } from './views/proof.js';
import { adminView } from './views/admin.js';
import { reportView } from './views/report.js';

/** Pages by the first part of their path. Each is `view({world, path, query})` and gives `{title, node, shown?, leaving?, dispose?}`. */
const VIEWS = {
  cases: (context) => (context.path.length > 1 ? caseView(context) : casesView(context)),
  reports: reportView, changes: changesView, reset: resetView, proof: proofView, admin: adminView,
};

/** `#/cases/1?q=x` as its parts. */
export function parsePath(text) {
  const [path, parameters = ''] = text.replace(/^#?\/?/, '').split('?');
  return { path: path.split('/').filter((part) => part !== '').map(decodeURIComponent), query: new URLSearchParams(parameters) };
}

export class Screen {
  #node;
  #shown = null;
  #generation = 0;
  #path = '';

  constructor(node, world, ontitle = () => {}) {
    this.#node = node;
    this.world = world;
    this.ontitle = ontitle;
    this.onback = () => { if (this.#node.isConnected && this.hasFailed) this.show(this.#path); };
    connection.addEventListener('back', this.onback);
  }

  /** Shows the page at a path; `isFocused` moves the focus to its heading, as a browser does for a new page. */
  async show(text, { isFocused = false } = {}) {
    this.#path = text;
    // Before anything else takes its place: what it looks like then says nothing.
    this.#shown?.leaving?.();
    this.#generation += 1;
    const mine = this.#generation;
    const { path, query } = parsePath(text);
    const view = VIEWS[path[0]] ?? casesView;
    const waiting = setTimeout(() => { if (mine === this.#generation) fill(this.#node, h('div', { class: 'page' }, skeleton())); }, 150);
    let made;
    try {
      made = await view({ world: this.world, path, query });
      this.hasFailed = false;
    } catch (error) {
      this.hasFailed = error instanceof Away;
      made = { title: 'Error', node: h('div', { class: 'page' }, failure(error, () => this.show(text))) };
    }
    clearTimeout(waiting);
    if (mine !== this.#generation) { made.dispose?.(); return; }
    this.#shown?.dispose?.();
    this.#shown = made;
    fill(this.#node, made.node);
    this.ontitle(made.title);
    (this.world.scroller ?? window).scrollTo({ top: 0, behavior: 'instant' });
    made.shown?.();
    if (isFocused) this.#node.querySelector('h1')?.focus({ preventScroll: true });
  }

  /** Something else is shown in this place. */
  leave() {
    this.#generation += 1;
    this.#shown?.leaving?.();
    this.#shown?.dispose?.();
    this.#shown = null;
  }

  dispose() {
    this.leave();
    connection.removeEventListener('back', this.onback);
  }
}
