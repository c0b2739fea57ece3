// Reset: what goes, the question, what happened, and the way back.

import { h, fill } from '../dom.js';
import { endless } from '../endless.js';
import { capital, count, duration, words } from '../format.js';
import { icon } from '../icons.js';
import { link } from '../links.js';
import { countFigures, countsText, fieldChanges } from '../parts.js';
import { whenExactly } from '../records.js';
import { button, busy, countdownTo, empty, mark } from '../ui.js';
import { undo } from '../undo.js';

/** Earlier resets that are shown without being asked for. */
const LATEST = 4;

export async function resetView({ world }) {
  const references = await world.references();
  const stage = h('div', { class: 'stage', 'aria-live': 'polite' });
  const past = h('section', { class: 'section' });
  let listed = null;

  async function showPreview() {
    const preview = await world.get('/demo/reset/preview');
    listed?.dispose();
    if (preview.totalItems === 0) {
      fill(stage, empty('Nothing to take back', 'Your world is the base data, as everybody gets it.', link(world, '/cases', { class: 'button' }, 'To the cases')));
      return;
    }
    const list = h('ol', { class: 'preview-list' });
    listed = endless({
      list, scroller: world.scroller,
      load: (page) => world.get('/demo/changes', page),
      item: (change) => h('li', {}, h('div', { class: 'preview-line' }, mark(change.kind), h('span', { class: 'muted kind' }, capital(words(change.entityType))), h('span', {}, change.label)), fieldChanges(change, references)),
    });
    const question = h('div', { class: 'question' });
    const ask = button('Reset my world', () => {
      const sure = button(`Yes, take back ${count(preview.totalItems, 'change')}`, () => busy(sure, () => reset(preview.confirmationToken)), { kind: 'danger-solid' });
      fill(question, h('p', {}, 'Everybody else keeps what is theirs. Shall it go?'), h('div', { class: 'actions' }, sure, button('Not now', () => fill(question, ask))));
      sure.focus();
    }, { kind: 'primary', iconName: 'reset' });
    question.append(ask);
    fill(stage,
      h('div', { class: 'panel' }, h('h2', {}, `${count(preview.totalItems, 'change')} would go`), countFigures(preview.willDelete),
        h('ul', { class: 'promises' }, [
          'The base data stays as it is: the database refuses to write it.',
          `You can undo this for ${count(preview.undoWindowHours, 'hour')}.`,
        ].map((text) => h('li', {}, icon('check'), text))), question),
      h('section', { class: 'section' }, h('h2', {}, 'Exactly this'), list, listed.foot));
    listed.restart();
  }

  async function reset(confirmationToken) {
    const report = await world.send('POST', '/demo/reset', { confirmationToken });
    const { verification, deletedCounts } = report;
    const fact = (isTrue, yes, no) => h('li', { class: isTrue ? 'good' : 'bad' }, icon(isTrue ? 'check' : 'warn'), isTrue ? yes : no);
    const window = h('div', { class: 'window' });
    const showWindow = () => fill(window, h('p', {}, h('span', { class: 'muted' }, 'Can be undone for '), countdownTo(report.undoExpiresAt, closed)),
      button('Undo this reset', (event) => busy(event.target, async () => { if (await undo(world, report.archiveId)) await showPreview(); }), { kind: 'primary' }));
    const closed = () => fill(window, h('p', {}, 'The undo window has closed.'));
    if (report.archiveId) showWindow();
    const heading = h('h2', { tabindex: '-1' }, 'Done. Your world is the base data again.');
    fill(stage, h('div', { class: 'panel result' },
      h('p', { class: 'took' }, h('strong', {}, duration(report.durationMs)), h('span', {}, `for ${countsText(deletedCounts)}`)),
      heading,
      h('ul', { class: 'promises' },
        fact(verification.baseDataIntact, 'Base data intact: its seal is unbroken', 'The base data is not as it was sealed'),
        fact(verification.userChangesCleared, 'Your changes are gone from your world', 'Some of your changes are still there')),
      window, h('p', { class: 'muted' }, link(world, '/proof', {}, 'Look at the proof, table by table'))));
    heading.focus();
  }

  const pastItem = (archive) => h('li', { class: 'card' },
    h('header', {}, h('div', { class: 'card-title' }, h('strong', {}, whenExactly(archive.archivedAt)), h('span', { class: `state state-${archive.state}` }, STATES[archive.state])),
      archive.state === 'available' && h('div', { class: 'card-actions' }, h('span', { class: 'muted' }, countdownTo(archive.undoExpiresAt), ' left'),
        button('Undo', (event) => busy(event.target, async () => { if (await undo(world, archive.archiveId)) await showPreview(); }), { kind: 'quiet' }))),
    h('p', { class: 'muted' }, countsText(archive.counts)));

  function showPast() {
    const [latest, older] = [world.archives.slice(0, LATEST), world.archives.slice(LATEST)];
    const isOpen = past.querySelector('details')?.open;
    fill(past, latest.length > 0 && [h('h2', {}, 'Earlier resets'), h('ul', { class: 'cards' }, latest.map(pastItem)),
      older.length > 0 && h('details', { class: 'older', open: isOpen }, h('summary', {}, `${count(older.length, 'older reset')}`), h('ul', { class: 'cards' }, older.map(pastItem)))]);
  }

  world.addEventListener('session', showPast);
  await Promise.all([showPreview(), world.refresh()]);
  return {
    title: 'Reset',
    node: h('section', { class: 'page narrow' }, h('header', { class: 'page-head' }, h('div', {}, h('h1', { tabindex: '-1' }, 'Reset'),
      h('p', { class: 'muted' }, 'Back to the base data, at once, whatever you did.'))), stage, past),
    dispose() {
      listed?.dispose();
      world.removeEventListener('session', showPast);
    },
  };
}

const STATES = { available: 'Can be undone', expired: 'Expired', restored: 'Undone' };
