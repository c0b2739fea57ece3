// For administrators: who is at work, how much they changed, and what can be done about it.

import { bars, casesByMonth } from '../charts.js';
import { connection } from '../connection.js';
import { h, fill } from '../dom.js';
import { ago, count, fullName, number } from '../format.js';
import { countsText } from '../parts.js';
import { avatar, button, busy, confirm, empty, toast } from '../ui.js';

/** Sessions that a chart has room for. */
const CHARTED = 12;

export async function adminView({ world }) {
  if (!world.isAdministrator) {
    return { title: 'Administration', node: h('section', { class: 'page narrow' }, h('h1', { class: 'hidden', tabindex: '-1' }, 'Administration'), empty('Only for administrators', 'Sign in as somebody with the role of system administrator.')) };
  }
  const users = await world.reference('users');
  const figures = h('dl', { class: 'figures-row' });
  const chart = h('div');
  const table = h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Sessions' });

  async function load() {
    const [stats, sessions] = await Promise.all([world.get('/demo/admin/stats'), world.all('/demo/admin/sessions')]);
    const changes = Object.entries(stats.changes).reduce((sum, [name, value]) => sum + (name === 'auditLogs' ? 0 : value), 0);
    const figure = (value, text, more) => h('div', {}, h('dt', {}, text), h('dd', {}, number(value), more && h('small', {}, more)));
    fill(figures,
      figure(stats.sessions.total, stats.sessions.total === 1 ? 'session' : 'sessions', `${number(stats.sessions.active7d)} used this week`),
      figure(changes, changes === 1 ? 'change in them' : 'changes in them', countsText(stats.changes)),
      figure(stats.archives.available, stats.archives.available === 1 ? 'reset that can be undone' : 'resets that can be undone', `${number(stats.archives.expired)} expired, ${number(stats.archives.restored)} undone`),
      figure(stats.base.cases, 'base cases, of all organizations', `${number(stats.base.rius)} reports`));
    const name = (session) => { const user = users.get(session.userId); return user ? fullName(user) : session.userId; };
    const busiest = sessions.toSorted((a, b) => b.totalChanges - a.totalChanges).slice(0, CHARTED);
    fill(chart, bars(busiest.map((session) => ({ name: name(session), value: session.totalChanges })), 'change'));
    fill(table, h('table', { class: 'table' }, h('caption', { class: 'hidden' }, 'Sessions, most recently active first'),
      h('thead', {}, h('tr', {}, ['Person', 'Last active', 'Changes', 'What', ''].map((text) => h('th', { scope: 'col', class: { Changes: 'number', What: 'extra' }[text] }, text || h('span', { class: 'hidden' }, 'Actions'))))),
      h('tbody', {}, sessions.map((session) => {
        const user = users.get(session.userId);
        return h('tr', {}, h('th', { scope: 'row' }, h('span', { class: 'person' }, user && avatar(user, 'small'), name(session))),
          h('td', {}, h('time', { datetime: session.lastActivityAt }, ago(session.lastActivityAt, connection.now()))),
          h('td', { class: 'number' }, number(session.totalChanges)), h('td', { class: 'muted extra' }, countsText(session.changes)),
          h('td', { class: 'end' }, session.totalChanges > 0 && button('Reset', (event) => reset(event.target, session, name(session)), { kind: 'quiet', 'aria-label': `Reset ${name(session)}` })));
      }))));
  }

  async function reset(node, session, name) {
    const text = [`${count(session.totalChanges, 'change')} would go: ${countsText(session.changes)}.`, `${name} can undo it, like a reset of their own.`];
    if (!await confirm(`Reset the world of ${name}?`, text, 'Reset', { kind: 'danger-solid' })) return;
    await busy(node, async () => {
      const report = await world.send('POST', `/demo/admin/sessions/${session.sessionId}/reset`, { confirmationToken: 'CONFIRM_RESET' });
      toast(`${name} is back at the base data. It took ${report.durationMs.toFixed(2)} ms.`, { kind: 'good' });
    });
  }

  const cleanup = button('Clean up', () => busy(cleanup, async () => {
    const report = await world.post('/demo/admin/cleanup');
    toast(`Removed: ${count(report.archivesPurged, 'expired archive')} with ${count(report.changesPurged, 'change')}, ${count(report.sessionsRemoved, 'idle session')}.`, { kind: 'good' });
    await load();
  }));
  const onchanged = () => { load().catch(() => {}); };
  world.addEventListener('changed', onchanged);
  const [{ months }] = await Promise.all([world.get('/cases/statistics'), load()]);
  return {
    title: 'Administration',
    node: h('section', { class: 'page' }, h('header', { class: 'page-head' }, h('div', {}, h('h1', { tabindex: '-1' }, 'Administration'),
      h('p', { class: 'muted' }, 'The sessions of your organization.')), h('div', { class: 'actions' }, button('Refresh', (event) => busy(event.target, load)), cleanup)),
    figures,
    h('section', { class: 'section' }, h('h2', {}, 'Sessions'), table),
    h('section', { class: 'section' }, h('h2', {}, 'Changes per session'), chart),
    h('section', { class: 'section' }, h('h2', {}, 'Cases by month and severity'), casesByMonth(months))),
    dispose: () => world.removeEventListener('changed', onchanged),
  };
}
