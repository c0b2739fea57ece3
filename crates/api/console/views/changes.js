// Everything that this session changed, with the differences, and a way back for each.

import { h, fill } from '../dom.js';
import { endless } from '../endless.js';
import { capital, words } from '../format.js';
import { link } from '../links.js';
import { countFigures, fieldChanges, pageOf } from '../parts.js';
import { whenExactly } from '../records.js';
import { button, busy, empty, mark, toast } from '../ui.js';

export async function changesView({ world }) {
  const [references] = await Promise.all([world.references(), world.refresh()]);
  const summary = h('div');
  const none = h('div');
  const list = h('ol', { class: 'cards changes' });

  const item = (change) => {
    const page = change.kind === 'deleted' ? null : pageOf(change.entityType, change.entityId);
    const verb = change.kind === 'deleted' ? 'Bring back' : 'Take back';
    const undo = button(verb, () => busy(undo, async () => {
      await world.takeBack([change]);
      toast(`${change.label}: ${change.kind === 'deleted' ? 'brought back' : 'taken back'}.`);
    }), { kind: 'quiet', 'aria-label': `${verb}: ${change.label}` });
    return h('li', { class: 'card mine' }, h('header', {},
      h('div', { class: 'card-title' }, h('span', { class: 'muted kind' }, capital(words(change.entityType))),
        page ? link(world, page, {}, h('strong', {}, change.label)) : h(change.kind === 'deleted' ? 'del' : 'strong', {}, change.label), mark(change.kind)),
      h('div', { class: 'card-actions' }, h('span', { class: 'muted' }, whenExactly(change.changedAt)), undo)),
    fieldChanges(change, references));
  };
  const pages = endless({
    list, item, scroller: world.scroller,
    load: (page) => world.get('/demo/changes', page),
    onpage: (page, isFirst) => {
      if (isFirst) fill(none, page.items.length === 0 && empty('Nothing changed yet', 'Edit, create or delete something: it will be listed here, and you will be the only one to see it.', link(world, '/cases', { class: 'button button-primary' }, 'To the cases')));
    },
  });
  const showSummary = () => {
    const { session } = world;
    fill(summary, session.totalChanges > 0 && [countFigures(session.changes)]);
  };
  const onchanged = () => pages.restart(pages.size());
  world.addEventListener('changed', onchanged);
  world.addEventListener('session', showSummary);
  showSummary();
  pages.restart();
  return {
    title: 'My changes',
    node: h('section', { class: 'page' },
      h('header', { class: 'page-head' }, h('div', {}, h('h1', { tabindex: '-1' }, 'My changes'),
        h('p', { class: 'muted' }, 'What is yours alone, over the base data that everybody shares.')),
      h('div', { class: 'actions' }, link(world, '/reset', { class: 'button' }, 'Reset everything'))),
      summary, list, none, pages.foot),
    dispose() {
      pages.dispose();
      world.removeEventListener('changed', onchanged);
      world.removeEventListener('session', showSummary);
    },
  };
}
