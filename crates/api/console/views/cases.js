// All cases: search, filters, and a list without an end.

import { monthStrip, stripYears } from '../charts.js';
import { fill, h } from '../dom.js';
import { endless } from '../endless.js';
import { count, words } from '../format.js';
import { recordForm } from '../form.js';
import { when } from '../records.js';
import { choices } from '../schema.js';
import { button, busy, empty, mark, segmented, select, severity, status, toast } from '../ui.js';
import { link } from '../links.js';

const SORTS = [['-createdAt', 'Newest first'], ['createdAt', 'Oldest first'], ['-updatedAt', 'Last edited first'], ['referenceNumber', 'By number']];
const NAMES = ['q', 'status', 'severity', 'categoryId', 'createdFrom', 'createdTo', 'sort'];
const TYPING_PAUSE = 250;
/** Letters of a case's text that a row has room for, and more. */
const SHOWN_TEXT = 300;

/** What was shown when the list was left, by world, so that going back finds the same place. */
const left = new WeakMap();

export async function casesView({ world, query }) {
  const [statuses, severities, categories, locations] = await Promise.all([
    choices('Case', 'status'), choices('Case', 'severity'), world.reference('categories'), world.reference('locations'),
  ]);
  const filters = Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? '']));
  const remembered = left.get(world);

  const heading = h('h1', { tabindex: '-1' }, 'Cases');
  const total = h('p', { class: 'muted', role: 'status' });
  const order = select('Order', SORTS, filters.sort || SORTS[0][0], (value) => set({ sort: value === SORTS[0][0] ? '' : value }), { class: 'field order' });
  const list = h('ol', { class: 'rows' });
  const strip = h('div', { class: 'strip-box' });
  const gone = h('div');
  const none = h('div');

  const pages = endless({
    list,
    scroller: world.scroller,
    load: async (page) => {
      const answer = await world.get('/cases', { ...sent(), ...page });
      return { ...answer, items: answer.items.map(shortened) };
    },
    item: (record) => h('li', {}, row(world, record, categories, locations)),
    onpage: (page, isFirst) => {
      total.textContent = isFiltered() ? `${count(page.total, 'case')} found` : count(page.total, 'case');
      if (isFirst) fill(none, page.items.length === 0 && empty('No case fits', 'Try fewer filters, or other words.', button('Clear all filters', () => clear())));
    },
  });

  /** The filters as the API takes them: days as points in time. */
  function sent() {
    const { createdFrom, createdTo, ...rest } = filters;
    return { ...rest, createdFrom: createdFrom && `${createdFrom}T00:00:00Z`, createdTo: createdTo && `${createdTo}T23:59:59.999999Z` };
  }
  const isFiltered = () => NAMES.some((name) => name !== 'sort' && filters[name] !== '');

  function set(changes) {
    Object.assign(filters, changes);
    const kept = new URLSearchParams(Object.entries(filters).filter(([, value]) => value !== ''));
    world.replace(`/cases${kept.size > 0 ? `?${kept}` : ''}`);
    showFilters();
    showStrip();
    pages.restart();
  }
  const clear = () => { set(Object.fromEntries(NAMES.filter((name) => name !== 'sort').map((name) => [name, '']))); search.value = ''; };

  let typing = null;
  const search = h('input', {
    type: 'search', class: 'field', 'aria-label': 'Search cases', placeholder: 'Search cases', value: filters.q, maxlength: 500,
    oninput: () => { clearTimeout(typing); typing = setTimeout(() => set({ q: search.value.trim() }), TYPING_PAUSE); },
  });
  const bar = h('div', { class: 'filters' });
  function showFilters() {
    const focused = document.activeElement?.closest('.filters') && document.activeElement.getAttribute('data-filter');
    const any = (text, items) => [['', text], ...items];
    const groups = [...categories.values()].map((item) => [item.id, item.name]).sort((a, b) => a[1].localeCompare(b[1]));
    const day = (name, text) => h('label', { class: 'inline' }, text, h('input', {
      type: 'date', class: 'field', value: filters[name], 'data-filter': name, onchange: (event) => set({ [name]: event.target.value }),
    }));
    fill(bar,
      segmented('Status', any('All', statuses.map((word) => [word, words(word)])), filters.status, (value) => set({ status: value })),
      select('Severity', any('Any severity', severities.toReversed().map((word) => [word, words(word)])), filters.severity, (value) => set({ severity: value }), { 'data-filter': 'severity' }),
      select('Category', any('Any category', groups), filters.categoryId, (value) => set({ categoryId: value }), { 'data-filter': 'categoryId' }),
      h('span', { class: 'inline days' }, day('createdFrom', 'From'), day('createdTo', 'to')),
      isFiltered() && button('Clear', clear, { kind: 'quiet' }));
    const again = focused ? bar.querySelector(`[data-filter="${focused}"]`) : bar.querySelector('input:checked');
    if (focused || wasInSegment) again?.focus({ preventScroll: true });
  }
  let wasInSegment = false;
  bar.addEventListener('focusin', (event) => { wasInSegment = event.target.type === 'radio'; });
  bar.addEventListener('focusout', () => { setTimeout(() => { wasInSegment = bar.contains(document.activeElement) && wasInSegment; }, 0); });

  let months = null;
  function showStrip() {
    if (!months || months.length === 0) return;
    const pick = (name) => {
      const last = new Date(Date.UTC(Number(name.slice(0, 4)), Number(name.slice(5)), 0)).toISOString().slice(0, 10);
      const isChosen = filters.createdFrom === `${name}-01` && filters.createdTo === last;
      set(isChosen ? { createdFrom: '', createdTo: '' } : { createdFrom: `${name}-01`, createdTo: last });
    };
    fill(strip, monthStrip(months, { from: filters.createdFrom, to: filters.createdTo, onpick: pick }),
      stripYears(months));
  }
  const loadStrip = () => world.get('/cases/statistics').then((answer) => { months = answer.months; showStrip(); }).catch(() => {});

  /** Deleted cases are in no list: they are told above it. */
  async function showGone() {
    if (!world.session?.changes.cases) { gone.replaceChildren(); return; }
    const deleted = await world.deletions('case').catch(() => []);
    fill(gone, deleted.length > 0 && h('details', { class: 'gone', open: deleted.length <= 3 },
      h('summary', {}, `${count(deleted.length, 'case')} deleted in your world`),
      h('ul', {}, deleted.map((change) => h('li', {}, mark('deleted'), h('del', {}, change.label),
        button('Bring back', (event) => busy(event.target, async () => {
          await world.takeBack([change]);
          toast(`${change.label} is back.`);
        }), { kind: 'quiet' }))))));
  }

  async function create() {
    const made = await recordForm(world, 'case', { at: '/cases', title: 'New case' });
    if (made) world.go(`/cases/${made.id}`);
  }

  const onchanged = () => { loadStrip(); pages.restart(pages.size()); };
  const onsession = () => { showGone(); };
  world.addEventListener('changed', onchanged);
  world.addEventListener('session', onsession);

  showFilters();
  showGone();
  loadStrip();
  const isSamePlace = remembered && remembered.query === query.toString();
  const ready = pages.restart(isSamePlace ? remembered.shown : 0);

  const node = h('section', { class: 'page' },
    h('header', { class: 'page-head' }, h('div', {}, heading, h('div', { class: 'list-line' }, total, order)), h('div', { class: 'actions' }, h('div', { class: 'search' }, search),
      button('New case', create, { kind: 'primary', iconName: 'add' }))),
    strip, bar, gone,
    h('div', { class: 'row row-head', 'aria-hidden': 'true' }, ['Number', 'Case', 'Category', 'Severity', 'Status'].map((text) => h('span', {}, text))),
    list, none, pages.foot);
  const scrolled = () => (world.scroller ? world.scroller.scrollTop : window.scrollY);
  return {
    title: 'Cases',
    node,
    shown: () => { if (isSamePlace) ready.then(() => (world.scroller ?? window).scrollTo({ top: remembered.top, behavior: 'instant' })); },
    leaving() {
      left.set(world, { query: new URLSearchParams(Object.entries(filters).filter(([, value]) => value !== '')).toString(), shown: pages.size(), top: scrolled() });
    },
    dispose() {
      pages.dispose();
      world.removeEventListener('changed', onchanged);
      world.removeEventListener('session', onsession);
    },
  };
}

/** What a row shows of a case: the list may become long, and a case may be. */
function shortened({ id, referenceNumber, createdAt, summary, details, changeKind, categoryId, locationId, severity, status }) {
  return { id, referenceNumber, createdAt, summary, details: details.slice(0, SHOWN_TEXT), changeKind, categoryId, locationId, severity, status };
}

function row(world, record, categories, locations) {
  return link(world, `/cases/${record.id}`, { class: record.changeKind ? 'row mine' : 'row' },
    h('span', { class: 'row-number' }, h('span', { class: 'reference' }, record.referenceNumber), when(record.createdAt)),
    h('span', { class: 'row-main' },
      h('span', { class: 'row-title' }, record.summary ?? record.details, ' ', mark(record.changeKind)),
      h('span', { class: 'row-text' }, record.summary ? record.details : '')),
    h('span', { class: 'row-about' }, h('span', {}, categories.get(record.categoryId)?.name ?? 'No category'),
      h('span', { class: 'muted' }, locations.get(record.locationId)?.name ?? '')),
    severity(record.severity), status(record.status));
}
