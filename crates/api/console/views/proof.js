// Proof that the base data is as it was loaded, whoever is at work.

import { h, fill } from '../dom.js';
import { count, duration, number } from '../format.js';
import { icon } from '../icons.js';
import { button, busy, failure, skeleton } from '../ui.js';

export async function proofView({ world }) {
  const result = h('div', { 'aria-live': 'polite' });

  async function verify() {
    const started = performance.now();
    const found = await world.get('/demo/verify');
    const took = performance.now() - started;
    const rows = found.tables.reduce((sum, table) => sum + table.rows, 0);
    const broken = found.tables.filter((table) => !table.fingerprintMatches || table.rows !== table.expectedRows);
    const figure = (value, text) => h('div', {}, h('dt', {}, text), h('dd', {}, value));
    fill(result,
      h('div', { class: found.baseDataIntact ? 'verdict good' : 'verdict bad' }, icon(found.baseDataIntact ? 'proof' : 'warn'),
        h('div', {}, h('h2', {}, found.baseDataIntact ? 'The base data is intact' : `The base data is not as it was sealed: ${broken.map(({ table }) => table).join(', ')}`),
          h('p', {}, found.baseDataIntact ? 'Every row of every table was read and compared with what was sealed when the data was loaded.' : 'Load the dataset again, and look for what wrote to it.'))),
      h('dl', { class: 'figures-row' },
        figure(number(rows), 'rows compared'), figure(duration(took), 'for all of them'),
        figure(number(found.sessionsAtWork), found.sessionsAtWork === 1 ? 'session at work now' : 'sessions at work now'),
        figure(found.userChangesCleared ? 'none' : number(world.session?.totalChanges ?? 0), world.session?.totalChanges === 1 ? 'change of yours' : 'changes of yours')),
      h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Tables' }, h('table', { class: 'table' },
        h('caption', { class: 'hidden' }, 'Tables of the base data'),
        h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Table'), h('th', { scope: 'col', class: 'number' }, 'Rows when sealed'), h('th', { scope: 'col', class: 'number' }, 'Rows now'), h('th', { scope: 'col' }, 'Content'))),
        h('tbody', {}, found.tables.map((table) => h('tr', {}, h('th', { scope: 'row' }, h('code', {}, breakable(table.table))),
          h('td', { class: 'number' }, number(table.expectedRows)), h('td', { class: 'number' }, number(table.rows)),
          h('td', {}, h('span', { class: table.fingerprintMatches ? 'good' : 'bad' }, icon(table.fingerprintMatches ? 'check' : 'warn'), table.fingerprintMatches ? 'as sealed' : 'changed'))))))),
      h('p', { class: 'muted' }, `A session is at work if it was used in the last 15 minutes. ${count(found.tables.length, 'table')} compared.`));
  }

  const again = button('Verify again', () => run(), { iconName: 'proof' });
  /** Reading every row takes its time: the page is there meanwhile. */
  const run = () => busy(again, async () => {
    fill(result, h('div', { class: 'verdict' }, h('p', {}, 'Reading every row of every table…')), skeleton(6));
    try {
      await Promise.all([world.session ? null : world.refresh(), verify()]);
    } catch (error) {
      fill(result, failure(error, run));
    }
  });
  run();
  return {
    title: 'Proof',
    node: h('section', { class: 'page narrow' }, h('header', { class: 'page-head' }, h('div', {}, h('h1', { tabindex: '-1' }, 'Proof'),
      h('p', { class: 'muted' }, 'Nobody can write the base data, and here one sees that nobody did.')), h('div', { class: 'actions' }, again)), result),
  };
}

/** A long name that may break where its words meet. */
const breakable = (name) => name.split('_').flatMap((word, at) => (at === 0 ? [word] : ['_', h('wbr'), word]));
