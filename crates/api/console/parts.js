// What several pages say about records and changes.

import { difference } from './diff.js';
import { h } from './dom.js';
import { capital, count, number, words } from './format.js';
import { BOOKKEEPING, isProse, label, told } from './records.js';

/** The counts of changes as a sentence: `2 cases, 1 note`. */
export function countsText(counts) {
  const named = Object.entries(counts).filter(([name, value]) => value > 0 && name !== 'auditLogs');
  return named.length === 0 ? 'nothing' : named.map(([name, value]) => count(value, words(name).replace(/ies$/, 'y').replace(/s$/, ''), words(name))).join(', ');
}

/** The counts of changes as figures in a row. */
export function countFigures(counts) {
  return h('dl', { class: 'counts' }, Object.entries(counts).filter(([name]) => name !== 'auditLogs').map(([name, value]) =>
    h('div', { class: value > 0 ? 'some' : 'none' }, h('dt', {}, capital(words(name))), h('dd', {}, number(value)))));
}

/** The page of the record that a change is about, as far as there is one. */
export function pageOf(entityType, entityId) {
  if (entityType === 'case') return `/cases/${entityId}`;
  if (entityType === 'riu') return `/reports/${entityId}`;
  return null;
}

/** What was changed in a record, field by field: base value, and what stands there now. */
export function fieldChanges(change, references) {
  const fields = (change.fields ?? []).filter(({ name }) => !BOOKKEEPING.includes(name));
  if (change.kind !== 'edited' || fields.length === 0) return null;
  return h('dl', { class: 'field-changes' }, fields.map(({ name, base, current }) => h('div', {},
    h('dt', {}, label(change.entityType, name)),
    h('dd', {}, isProse(base) && isProse(current)
      ? difference(base, current)
      : [h('del', {}, told(name, base, references)), h('span', { class: 'becomes', 'aria-hidden': 'true' }, '→'), h('ins', {}, told(name, current, references))]))));
}
