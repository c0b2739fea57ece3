// One report as it came in. Its content is evidence and cannot be edited, only its status.

import { h } from '../dom.js';
import { recordForm } from '../form.js';
import { label, told, when } from '../records.js';
import { button, mark, severity, status } from '../ui.js';

const FACTS = ['type', 'sourceChannel', 'categoryId', 'locationId', 'reporterType', 'reporterName', 'reporterEmail', 'reporterPhone', 'riskScore'];

export async function reportView({ world, path }) {
  const [{ data: record, etag }, references] = await Promise.all([world.read(`/rius/${path[1]}`), world.references()]);
  const edit = button('Change status', async () => {
    if (await recordForm(world, 'riu', { record, etag, title: `Status of ${record.referenceNumber}` })) world.go(`/reports/${record.id}`, { again: true });
  });
  return {
    title: record.referenceNumber,
    node: h('section', { class: 'page' },
      h('nav', { class: 'back', 'aria-label': 'Back' }, h('a', { href: '#', onclick: (event) => { event.preventDefault(); world.back(); } }, '‹ Back')),
      h('header', { class: record.changeKind ? 'case-head mine' : 'case-head' },
        h('div', { class: 'case-line' }, h('span', { class: 'reference' }, record.referenceNumber), mark(record.changeKind)),
        h('h1', { tabindex: '-1' }, record.summary ?? 'A report'),
        h('div', { class: 'case-facts' }, status(record.status), severity(record.severity), h('span', {}, 'Received ', when(record.createdAt))),
        h('div', { class: 'actions' }, edit)),
      h('div', { class: 'columns' },
        h('div', { class: 'column-main' }, h('div', { class: 'prose' }, record.details.split(/\n{2,}/).map((part) => h('p', {}, part)))),
        h('div', { class: 'column-side' }, h('dl', { class: 'facts' }, FACTS.filter((name) => record[name] !== null).map((name) =>
          h('div', {}, h('dt', {}, label('riu', name)), h('dd', {}, told(name, record[name], references)))))))),
  };
}
