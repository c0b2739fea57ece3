// One case: what it says, who is in it, what was written about it, and what this session made of it.

import { Problem } from '../api.js';
import { difference } from '../diff.js';
import { fill, h, newId } from '../dom.js';
import { endless } from '../endless.js';
import { dateTime, words } from '../format.js';
import { recordForm } from '../form.js';
import { link } from '../links.js';
import { BOOKKEEPING, KINDS, isProse, label, told, when, whenExactly } from '../records.js';
import { button, busy, confirm, dialog, empty, failure, mark, severity, skeleton, status, toast } from '../ui.js';

const TABS = [['', 'Case'], ['subjects', 'Subjects'], ['messages', 'Messages'], ['investigations', 'Investigations'], ['reports', 'Reports'], ['activity', 'Activity']];
const KIND_OF = { subjects: 'subject', messages: 'message', investigations: 'investigation', reports: 'association' };
/** Where the API has what a tab shows. */
const LISTS = { subjects: 'subjects', messages: 'messages', investigations: 'investigations', reports: 'rius', activity: 'activity' };

export async function caseView({ world, path }) {
  const [, id, tab = ''] = path;
  let answer;
  try {
    answer = await world.read(`/cases/${id}`);
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return missing(world, id);
    throw error;
  }
  const references = await world.references();
  const node = h('section', { class: 'page' });
  const context = { world, id, references, record: answer.data, etag: answer.etag, changes: new Map(), deleted: new Map(), lists: [] };
  await readOwnChange(context);
  render(context, node, tab);

  let isReading = false;
  const onchanged = async () => {
    if (isReading) return;
    isReading = true;
    try {
      const fresh = await world.read(`/cases/${id}`);
      Object.assign(context, { record: fresh.data, etag: fresh.etag });
      context.changes.clear();
      context.deleted.clear();
      await readOwnChange(context);
      const focused = document.activeElement?.id;
      render(context, node, currentTab(node) ?? tab);
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    } catch (error) {
      if (error instanceof Problem && error.status === 404) {
        const gone = await missing(world, id);
        node.replaceWith(gone.node);
        gone.shown?.();
      }
    } finally {
      isReading = false;
    }
  };
  world.addEventListener('changed', onchanged);
  return {
    title: answer.data.referenceNumber,
    node,
    dispose() {
      world.removeEventListener('changed', onchanged);
      context.lists.forEach((list) => list.dispose());
    },
  };
}

const currentTab = (node) => node.querySelector('[role=tab][aria-selected=true]')?.dataset.tab;

/** What this session changed in the case itself. */
const readOwnChange = (context) => readChanges(context, 'case', [context.record]);

/** What this session changed in these records, for their base values, and what it deleted of their kind. */
async function readChanges(context, kind, records) {
  const { world, changes } = context;
  const edited = records.filter(({ changeKind, id }) => changeKind === 'edited' && !changes.has(id));
  const found = await Promise.all(edited.map(({ id }) => world.change(kind, id).catch(() => null)));
  found.forEach((change) => { if (change) changes.set(change.entityId, change); });
  if (kind === 'case' || context.deleted.has(kind)) return;
  if (!world.session) await world.refresh().catch(() => {});
  const hasChanges = world.session?.totalChanges !== 0;
  context.deleted.set(kind, hasChanges ? await world.deletions(kind).catch(() => []) : []);
}

/** A case that this world does not have: deleted in it, or never there. */
async function missing(world, id) {
  const change = await world.change('case', id).catch(() => null);
  const isDeleted = change?.kind === 'deleted';
  const bringBack = button('Bring it back', (event) => busy(event.target, async () => {
    await world.takeBack([change]);
    world.go(`/cases/${id}`, { again: true });
  }), { kind: 'primary' });
  return {
    title: 'No such case',
    node: h('section', { class: 'page' }, back(world), h('h1', { class: 'hidden', tabindex: '-1' }, 'No such case'), isDeleted
      ? empty(`You deleted ${change.label}`, 'In your world it is gone, and everything that hung on it. Everybody else still has it.', bringBack)
      : empty('There is no such case', 'Not in your world. It may be one that somebody else created in theirs.', link(world, '/cases', { class: 'button' }, 'All cases'))),
  };
}

const back = (world) => h('nav', { class: 'back', 'aria-label': 'Back' }, link(world, '/cases', {}, '‹ All cases'));

function render(context, node, tab) {
  const { world, record } = context;
  context.lists.forEach((list) => list.dispose());
  context.lists = [];
  const panel = h('div', { class: 'tab-panel', role: 'tabpanel', tabindex: '0' });
  const tabs = h('div', { class: 'tabs', role: 'tablist', 'aria-label': 'Parts of the case' });
  const buttons = TABS.map(([name, text]) => h('button', {
    type: 'button', role: 'tab', id: newId('tab'), class: 'tab', 'data-tab': name, 'aria-selected': String(name === tab),
    tabindex: name === tab ? '0' : '-1', onclick: () => choose(name),
  }, text, name && h('span', { class: 'tab-count', 'data-count': name })));
  tabs.append(...buttons);
  tabs.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length];
    next.focus();
    choose(next.dataset.tab);
  });

  /** Where the tabs stand in a row that is too long, this one comes in sight. */
  const show = (each) => { tabs.scrollLeft = each.offsetLeft - (tabs.clientWidth - each.offsetWidth) / 2; };

  function choose(name) {
    for (const each of buttons) {
      const isIt = each.dataset.tab === name;
      each.setAttribute('aria-selected', String(isIt));
      each.tabIndex = isIt ? 0 : -1;
      if (isIt) { panel.setAttribute('aria-labelledby', each.id); show(each); }
    }
    world.replace(`/cases/${context.id}${name && `/${name}`}`);
    showPanel(context, panel, name);
  }

  const edit = button('Edit', () => recordForm(world, 'case', { record, etag: context.etag, title: `Edit ${record.referenceNumber}` }));
  const remove = button('Delete', async () => {
    const text = `In your world, ${record.referenceNumber} goes, and with it its subjects, messages, investigations, notes and reports’ links. Everybody else keeps it, and you can bring it back.`;
    if (!await confirm(`Delete ${record.referenceNumber}?`, text, 'Delete', { kind: 'danger' })) return;
    await busy(remove, async () => {
      await world.send('DELETE', `/cases/${context.id}`, undefined, context.etag);
      world.go('/cases');
      toast(`${record.referenceNumber} is deleted in your world.`, {
        action: 'Bring back',
        onaction: () => world.takeBack([{ entityType: 'case', entityId: context.id, kind: 'deleted' }]).catch((error) => toast(error.message, { kind: 'bad' })),
      });
    });
  }, { kind: 'danger' });
  const change = context.changes.get(record.id);
  fill(node, back(world),
    h('header', { class: record.changeKind ? 'case-head mine' : 'case-head' },
      h('div', { class: 'case-line' }, h('span', { class: 'reference' }, record.referenceNumber), mark(record.changeKind),
        record.changeKind === 'edited' && takeBackButton(context, 'case', record)),
      h('h1', { tabindex: '-1' }, record.summary ?? titleOf(record.details)),
      change && changedFrom(change, 'summary'),
      h('div', { class: 'case-facts' }, status(record.status), severity(record.severity),
        h('span', {}, told('categoryId', record.categoryId, context.references)), h('span', {}, 'Created ', when(record.createdAt))),
      h('div', { class: 'actions' }, edit, remove)),
    tabs, panel);
  for (const [name, list] of Object.entries(LISTS)) {
    world.get(`/cases/${context.id}/${list}`, { limit: 1 }).then(({ total }) => {
      const badge = node.querySelector(`[data-count="${name}"]`);
      if (badge) badge.textContent = total;
    }).catch(() => {});
  }
  const chosen = buttons.find((each) => each.dataset.tab === tab) ?? buttons[0];
  panel.setAttribute('aria-labelledby', chosen.id);
  requestAnimationFrame(() => show(chosen));
  showPanel(context, panel, tab);
}

/** What stood there before, for a field of an edited record. */
function changedFrom(change, name) {
  const field = change?.kind === 'edited' ? change.fields.find((each) => each.name === name) : null;
  if (!field || !isProse(field.base)) return null;
  return h('p', { class: 'base-value' }, 'Base: ', h('del', {}, field.base));
}

function takeBackButton(context, entityType, record) {
  const undo = button('Take back', (event) => busy(event.target, async () => {
    await context.world.takeBack([{ entityType, entityId: record.id, kind: record.changeKind }]);
    toast('Taken back.');
  }), { kind: 'quiet' });
  undo.setAttribute('aria-label', `Take back my changes of this ${KINDS[entityType].name}`);
  return undo;
}

function showPanel(context, panel, tab) {
  const list = LISTS[tab];
  if (!list) {
    fill(panel, overview(context));
    return;
  }
  fill(panel, skeleton(4));
  const { world, id } = context;
  if (tab === 'activity') {
    showActivity(context, panel);
    return;
  }
  world.all(`/cases/${id}/${list}`, { sort: tab === 'messages' || tab === 'investigations' ? 'createdAt' : undefined })
    .then(async (items) => { await readChanges(context, KIND_OF[tab], items); return SHOWN[tab](context, items); })
    .then((content) => fill(panel, content))
    .catch((error) => fill(panel, failure(error, () => showPanel(context, panel, tab))));
}

/** The facts of a record, with base values where it was edited. */
function facts(context, kind, record, names) {
  const change = context.changes.get(record.id);
  const edited = new Map(change?.kind === 'edited' ? change.fields.map((field) => [field.name, field]) : []);
  const shown = names.filter((name) => edited.has(name) || (record[name] !== null && record[name] !== undefined && record[name].length !== 0));
  return h('dl', { class: 'facts' }, shown.map((name) => {
    const field = edited.get(name);
    return h('div', { class: [field && 'mine', isProse(record[name]) && 'wide'].filter(Boolean).join(' ') || null }, h('dt', {}, label(kind, name)), h('dd', {},
      field ? h('ins', {}, told(name, record[name], context.references)) : told(name, record[name], context.references),
      field && h('span', { class: 'base-value' }, 'Base: ', h('del', {}, told(name, field.base, context.references)))));
  }));
}

/** A long text; where it was edited, with what was taken out and put in. */
function prose(context, record, name) {
  const field = context.changes.get(record.id)?.fields?.find((each) => each.name === name);
  if (context.changes.get(record.id)?.kind === 'edited' && field && isProse(field.base) && record[name]) {
    return h('div', { class: 'prose' }, difference(field.base, record[name]));
  }
  return h('div', { class: 'prose' }, (record[name] ?? '').split(/\n{2,}/).map((part) => h('p', {}, part)));
}

function overview(context) {
  const { record } = context;
  const short = ['status', 'severity', 'caseType', 'sourceChannel', 'categoryId', 'locationId', 'reporterType', 'reporterName', 'reporterEmail',
    'reporterPhone', 'riskScore', 'slaDueAt', 'outcome', 'closedAt', 'tags', 'createdById', 'updatedById', 'updatedAt'];
  const names = record.changeKind === 'edited' ? short : short.filter((name) => !BOOKKEEPING.includes(name));
  return h('div', { class: 'columns' },
    h('div', { class: 'column-main' },
      h('h2', { class: 'hidden' }, 'What is reported'), prose(context, record, 'details'),
      record.outcomeNotes && [h('h2', {}, 'Outcome'), prose(context, record, 'outcomeNotes')],
      record.aiSummary && h('aside', { class: 'aside' }, h('h2', {}, 'AI summary'), h('p', {}, record.aiSummary))),
    h('div', { class: 'column-side' }, h('h2', { class: 'hidden' }, 'Facts'), facts(context, 'case', record, names)));
}

/** A record of the case as a card, with what can be done to it. */
function card(context, kind, record, head, ...content) {
  const { world } = context;
  const { name, path } = KINDS[kind];
  const act = async (work) => { try { await work(); } catch (error) { toast(error.message, { kind: 'bad' }); } };
  const edit = async () => {
    const { data, etag } = await world.read(`${path}/${record.id}`);
    await recordForm(world, kind, { record: data, etag, title: `Edit ${name}` });
  };
  const remove = async () => {
    if (!await confirm(`Delete this ${name}?`, 'Only in your world, and you can bring it back.', 'Delete', { kind: 'danger' })) return;
    await world.send('DELETE', `${path}/${record.id}`);
    toast(`The ${name} is deleted in your world.`, { action: 'Bring back', onaction: () => act(() => world.takeBack([{ entityType: kind, entityId: record.id, kind: 'deleted' }])) });
  };
  return h('li', { class: record.changeKind ? 'card mine' : 'card' },
    h('header', {}, h('div', { class: 'card-title' }, head, mark(record.changeKind)),
      h('div', { class: 'card-actions' }, record.changeKind === 'edited' && takeBackButton(context, kind, record),
        button('Edit', () => act(edit), { kind: 'quiet', 'aria-label': `Edit this ${name}` }),
        button('Delete', () => act(remove), { kind: 'quiet', 'aria-label': `Delete this ${name}` }))),
    content);
}

/** What this session deleted under this case. */
function deletedUnder(context, kind, parentField, parent) {
  const isHere = (change) => change.fields?.some((field) => field.name === parentField && field.base === parent);
  const gone = (context.deleted.get(kind) ?? []).filter(isHere);
  return gone.map((change) => h('li', { class: 'card mine deleted' }, h('header', {},
    h('div', { class: 'card-title' }, h('del', {}, change.label), mark('deleted')),
    h('div', { class: 'card-actions' }, button('Bring back', (event) => busy(event.target, () => context.world.takeBack([change])), { kind: 'quiet' })))));
}

function tabList(context, kind, items, title, add, shown, nothing) {
  const gone = deletedUnder(context, kind, 'caseId', context.id);
  return [h('div', { class: 'panel-head' }, h('h2', {}, title), add),
    items.length + gone.length === 0 ? empty(nothing[0], nothing[1]) : h('ul', { class: 'cards' }, items.map(shown), gone)];
}

const addButton = (context, kind, title, text) => button(text, () => recordForm(context.world, kind, {
  at: `/cases/${context.id}/${KINDS[kind].nested}`, title,
}), { iconName: 'add' });

const SHOWN = {
  subjects(context, items) {
    return tabList(context, 'subject', items, 'Subjects', addButton(context, 'subject', 'New subject', 'Add subject'), (record) => card(context, 'subject', record,
      [h('strong', {}, record.name), h('span', { class: `role role-${record.role.toLowerCase()}` }, words(record.role))],
      facts(context, 'subject', record, ['jobTitle', 'department', 'location', 'managerName', 'relationship', 'notes'])),
    ['Nobody is named', 'People whom the case is about are listed here.']);
  },

  messages(context, items) {
    return tabList(context, 'message', items, 'Dialogue with the reporter', addButton(context, 'message', 'New message', 'Write message'), (record) => {
      const item = card(context, 'message', record,
        [h('strong', {}, words(record.senderType)), h('span', { class: 'muted' }, whenExactly(record.createdAt)), !record.isRead && h('span', { class: 'unread' }, 'Unread')],
        record.subject && h('p', { class: 'message-subject' }, record.subject), prose(context, record, 'content'));
      item.classList.add(record.direction.toLowerCase());
      return item;
    }, ['No messages yet', 'The dialogue with whoever reported this is kept here.']);
  },

  async investigations(context, items) {
    const notes = await Promise.all(items.map((record) => context.world.all(`/investigations/${record.id}/notes`, { sort: 'createdAt' })));
    await readChanges(context, 'note', notes.flat());
    return tabList(context, 'investigation', items, 'Investigations', addButton(context, 'investigation', 'New investigation', 'Open investigation'), (record, at) => card(context, 'investigation', record,
      [h('strong', {}, `Investigation ${record.investigationNumber}`), status(record.status)],
      facts(context, 'investigation', record, ['investigationType', 'department', 'slaStatus', 'primaryInvestigatorId', 'dueDate', 'closedAt', 'outcome']),
      ['findingsSummary', 'findingsDetail', 'rootCause', 'lessonsLearned'].filter((name) => record[name]).map((name) => h('section', { class: 'finding' }, h('h3', {}, label('investigation', name)), prose(context, record, name))),
      h('section', { class: 'notes' }, h('div', { class: 'panel-head' }, h('h3', {}, 'Notes'), button('Add note', () => recordForm(context.world, 'note', {
        at: `/investigations/${record.id}/notes`, title: 'New note',
      }), { kind: 'quiet', iconName: 'add' })),
      h('ul', { class: 'cards' }, notes[at].map((note) => card(context, 'note', note,
        [h('strong', {}, note.authorName), h('span', { class: 'muted' }, `${words(note.noteType)}, `, whenExactly(note.createdAt))], prose(context, note, 'content'))),
      deletedUnder(context, 'note', 'investigationId', record.id)))),
    ['Not investigated yet', 'Open an investigation to assign it to somebody.']);
  },

  async reports(context, items) {
    const reports = await Promise.all(items.map((record) => context.world.get(`/rius/${record.riuId}`).catch(() => null)));
    const add = button('Link report', () => linkReport(context), { iconName: 'add' });
    return tabList(context, 'association', items, 'Reports', add, (record, at) => {
      const report = reports[at];
      return card(context, 'association', record,
        [report ? link(context.world, `/reports/${report.id}`, { class: 'reference' }, report.referenceNumber) : 'A report', h('span', { class: 'muted' }, words(record.associationType))],
        report && h('p', {}, report.summary ?? report.details.slice(0, 240)), facts(context, 'association', record, ['notes']));
    }, ['No report is linked', 'Reports that came in about this matter are linked here.']);
  },
};

/** Chooses a report and links it. */
function linkReport(context) {
  const { world } = context;
  return dialog('Link a report', (close) => {
    const found = h('ul', { class: 'choices' });
    const problem = h('div', { class: 'form-problem', role: 'alert' });
    let asked = 0;
    const search = async (text) => {
      asked += 1;
      const mine = asked;
      try {
        const page = await world.get('/rius', { q: text, limit: 20 });
        if (mine !== asked) return;
        fill(found, page.items.length === 0 ? h('li', { class: 'muted' }, 'No report fits.') : page.items.map((report) => h('li', {}, h('button', {
          type: 'button', class: 'choice', onclick: () => choose(report),
        }, h('span', { class: 'reference' }, report.referenceNumber), h('span', {}, report.summary ?? report.details.slice(0, 120)), when(report.createdAt)))));
      } catch (error) {
        fill(problem, error.message);
      }
    };
    const choose = async (report) => {
      try {
        await world.send('POST', `/cases/${context.id}/rius`, { riuId: report.id });
        close(true);
      } catch (error) {
        fill(problem, error.message);
      }
    };
    let typing = null;
    search('');
    return h('div', { class: 'dialog-body' }, h('input', {
      type: 'search', class: 'field', 'aria-label': 'Search reports', placeholder: 'Search reports', autofocus: true,
      oninput: (event) => { clearTimeout(typing); typing = setTimeout(() => search(event.target.value.trim()), 250); },
    }), problem, found);
  }, { wide: true });
}

function showActivity(context, panel) {
  const list = h('ol', { class: 'timeline' });
  const pages = endless({
    list,
    scroller: context.world.scroller,
    load: (page) => context.world.get(`/cases/${context.id}/activity`, page),
    item: (entry) => h('li', { class: entry.changeKind ? 'mine' : null },
      h('p', {}, entry.actionDescription, ' ', entry.changeKind && h('span', { class: 'mark' }, 'In your world')),
      entry.changes && h('ul', { class: 'old-new' }, Object.entries(entry.changes).filter(([name]) => !BOOKKEEPING.includes(name)).map(([name, { old, new: now }]) => h('li', {},
        `${label(entry.entityType, name)}: `, isProse(old) || isProse(now) ? 'rewritten' : [h('del', {}, told(name, old, context.references)), ' → ', told(name, now, context.references)]))),
      h('p', { class: 'muted' }, `${entry.actorName}, ${dateTime(entry.createdAt)}`)),
  });
  context.lists.push(pages);
  fill(panel, h('div', { class: 'panel-head' }, h('h2', {}, 'Activity')), list, pages.foot);
  pages.restart();
}


/** The beginning of a text, where there is no summary. */
const titleOf = (text) => (text.length > 90 ? `${text.slice(0, 90)}…` : text);
