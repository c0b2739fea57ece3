// Undoing a reset, with what stands in its way.

import { Problem } from './api.js';
import { fill, h } from './dom.js';
import { capital, words } from './format.js';
import { countsText } from './parts.js';
import { button, dialog, skeleton, toast } from './ui.js';

const REASONS = {
  same_record: 'changed again after the reset',
  unique_clash: 'something else has its unique value now',
  parent_gone: 'what it hangs on is gone',
  live_children: 'it was deleted, but new records hang on it now',
  base_changed: 'the base record under it was replaced',
};

/** Undoes a reset; where newer changes are in the way, asks what to do. Whether it was undone. */
export async function undo(world, archiveId) {
  let body = { archiveId };
  for (;;) {
    try {
      const report = await world.send('POST', '/demo/undo', body);
      const kept = report.keptArchivedId ? ' What stood in the way stays archived.' : '';
      const replaced = report.replacedArchiveId ? ' What it replaced is archived, and can be undone in turn.' : '';
      toast(`Undone. Back again: ${countsText(report.restoredCounts)}.${kept}${replaced}`, { kind: 'good' });
      return true;
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'undo_conflict') {
        await world.refresh().catch(() => {});
        await refused(error);
        return false;
      }
      const onConflict = await resolve(world, archiveId, error.conflicts);
      if (!onConflict) return false;
      body = { archiveId, onConflict };
    }
  }
}

const REFUSALS = {
  undo_expired: ['The undo window has closed', 'A reset can be undone for a while, and this one’s time is over. What it took back is gone for good.'],
  already_restored: ['Already undone', 'This reset has been undone before. There is nothing left in its archive.'],
  nothing_to_undo: ['Nothing to undo', 'There is no reset that could be undone.'],
};

function refused(error) {
  const [title, text] = REFUSALS[error.code] ?? ['This could not be undone', error.message];
  return dialog(title, (close) => h('div', { class: 'dialog-body' }, h('p', {}, text), h('footer', {}, button('Close', () => close(), { kind: 'primary' }))));
}

/** Tells the conflicts and asks; `keepCurrent`, `restoreArchived`, or null. */
function resolve(world, archiveId, conflicts) {
  return dialog(conflicts.length === 1 ? 'One change stands in the way' : `${conflicts.length} changes stand in the way`, (close) => {
    const list = h('ul', { class: 'conflicts' }, skeleton(2));
    labels(world, archiveId).then((known) => fill(list, conflicts.map(({ entityType, entityId, reason }) => h('li', {},
      h('strong', {}, known.get(entityId) ?? capital(words(entityType))), h('span', { class: 'muted' }, ` ${REASONS[reason] ?? words(reason)}`)))));
    const option = (title, text, value) => h('button', { type: 'button', class: 'option', onclick: () => close(value) }, h('strong', {}, title), h('span', {}, text));
    return h('div', { class: 'dialog-body' },
      h('p', {}, 'Since the reset you changed something that the undo would change as well. Nothing has been undone so far.'),
      list,
      h('div', { class: 'options' },
        option('Keep what is there now', 'Everything else comes back. What conflicts stays in the archive until its time is over.', 'keepCurrent'),
        option('Bring back what was archived', 'All of it comes back. What it replaces is archived first, so you can undo that too.', 'restoreArchived')),
      h('footer', {}, button('Leave it as it is', () => close(null))));
  });
}

/** What the records of an archive are called. */
async function labels(world, archiveId) {
  const known = new Map();
  try {
    const items = await world.all(`/demo/archives/${archiveId}`, {}, 1000);
    items.forEach((item) => known.set(item.entityId, item.label));
  } catch {
    // Their kind has to do.
  }
  return known;
}
