// Charts, drawn as SVG. Each comes with what it shows as text.

import { fill, h, s } from './dom.js';
import { count, month, number, words } from './format.js';

const SEVERITIES = ['LOW', 'MEDIUM', 'HIGH', 'CRITICAL'];

const total = (entry) => SEVERITIES.reduce((sum, word) => sum + entry.bySeverity[word], 0);

/** Every month from the first to the last one, also those without cases. */
function withGaps(months) {
  if (months.length === 0) return [];
  const known = new Map(months.map((entry) => [entry.month, entry]));
  const none = { LOW: 0, MEDIUM: 0, HIGH: 0, CRITICAL: 0 };
  const all = [];
  const [year, start] = months[0].month.split('-').map(Number);
  for (let at = new Date(Date.UTC(year, start - 1)); ; at.setUTCMonth(at.getUTCMonth() + 1)) {
    const name = at.toISOString().slice(0, 7);
    all.push(known.get(name) ?? { month: name, bySeverity: none });
    if (name >= months.at(-1).month) return all;
  }
}

/** A round number at or above `value`, and how its axis is divided. */
function scale(value) {
  const steps = [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 5000, 10_000];
  const step = steps.find((size) => value / size <= 4) ?? Math.ceil(value / 4);
  return { top: Math.max(step, Math.ceil(value / step) * step), step };
}

function stack(entry, x, width, height, top) {
  let y = height;
  return SEVERITIES.map((word) => {
    const size = (entry.bySeverity[word] / top) * height;
    y -= size;
    return s('rect', { x, y, width, height: size, class: `bar severity-${word.toLowerCase()}` });
  });
}

const sentence = (entry) => `${month(entry.month)}: ${count(total(entry), 'case')}, ${SEVERITIES.map((word) => `${entry.bySeverity[word]} ${words(word).toLowerCase()}`).join(', ')}`;

/** The months as a strip to choose from with the mouse; the date fields beside it do the same for the keyboard. */
export function monthStrip(given, { from, to, onpick }) {
  const months = withGaps(given);
  const [width, height] = [months.length * 10, 44];
  const top = Math.max(1, ...months.map(total));
  const isIn = (name) => (!from || name >= from.slice(0, 7)) && (!to || name <= to.slice(0, 7));
  const isChosen = Boolean(from || to);
  return s('svg', {
    class: isChosen ? 'strip chosen' : 'strip', viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none',
    role: 'img', 'aria-label': `Cases by month from ${month(months[0].month)} to ${month(months.at(-1).month)}`,
  }, months.map((entry, at) => s('g', { class: isIn(entry.month) ? 'month in' : 'month', onclick: () => onpick(entry.month) },
    s('title', {}, sentence(entry)),
    s('rect', { x: at * 10, y: 0, width: 10, height, class: 'touch' }),
    stack(entry, at * 10 + 1, 8, height, top))));
}

export function severityLegend() {
  return h('ul', { class: 'legend', 'aria-hidden': 'true' }, SEVERITIES.toReversed().map((word) => h('li', { class: `severity-${word.toLowerCase()}` }, words(word))));
}

/** The years under a strip of months, each below its January. */
export function stripYears(given) {
  const months = withGaps(given);
  const years = months.flatMap(({ month: name }, at) => (name.endsWith('-01')
    ? h('span', { style: { left: `${((at + 0.5) / months.length) * 100}%` } }, name.slice(0, 4)) : []));
  return h('p', { class: 'strip-years', 'aria-hidden': 'true' }, years, h('span', { class: 'strip-caption' }, 'Cases by month and severity'));
}

/** A chart that is drawn as wide as its place, again whenever that changes, so that its text keeps its size. */
function fitting(draw) {
  const box = h('div', { class: 'chart-box' }, draw(800));
  let drawn = 0;
  new ResizeObserver(([entry]) => {
    const width = Math.round(entry.contentRect.width);
    if (width === 0 || width === drawn) return;
    drawn = width;
    // Not while sizes are being told: what is drawn changes them.
    requestAnimationFrame(() => fill(box, draw(width)));
  }).observe(box);
  return box;
}

/** Cases by month and severity. */
export function casesByMonth(given) {
  const months = withGaps(given);
  const [height, left, bottom] = [240, 36, 34];
  const { top, step } = scale(Math.max(1, ...months.map(total)));
  const chart = fitting((width) => {
    const slot = (width - left) / months.length;
    const lines = [];
    for (let value = 0; value <= top; value += step) {
      const y = height - (value / top) * height;
      lines.push(s('line', { x1: left, x2: width, y1: y, y2: y, class: value === 0 ? 'axis' : 'rule' }),
        s('text', { x: left - 8, y: y + 4, class: 'tick end' }, number(value)));
    }
    const quarters = months.flatMap((entry, at) => {
      const [year, which] = entry.month.split('-').map(Number);
      if (which % 3 !== 1) return [];
      const x = left + at * slot + slot / 2;
      return [s('text', { x, y: height + 16, class: 'tick middle' }, 'JFMAMJJASOND'[which - 1]),
        which === 1 && s('text', { x, y: height + 31, class: 'tick middle strong' }, year)];
    }).filter(Boolean);
    return s('svg', {
      class: 'chart', viewBox: `0 -8 ${width} ${height + bottom + 8}`, role: 'img',
      'aria-label': 'Cases by month and severity, as a stacked bar chart; the table below has the figures',
    }, lines, months.map((entry, at) => s('g', {}, s('title', {}, sentence(entry)), stack(entry, left + at * slot + slot * 0.140, slot * 0.720, height, top))), quarters);
  });
  const rows = months.map((entry) => h('tr', {}, h('th', { scope: 'row' }, month(entry.month)),
    SEVERITIES.map((word) => h('td', { class: 'number' }, number(entry.bySeverity[word]))), h('td', { class: 'number' }, number(total(entry)))));
  const head = h('tr', {}, ['Month', ...SEVERITIES.map(words), 'All'].map((text, at) => h('th', { scope: 'col', class: at > 0 && 'number' }, text)));
  return h('figure', { class: 'figure' }, severityLegend(), chart, figures('The figures', head, rows));
}

function figures(summary, head, rows) {
  return h('details', { class: 'figures' }, h('summary', {}, summary),
    h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': summary }, h('table', {}, h('thead', {}, head), h('tbody', {}, rows))));
}

/** One bar for each of `[{name, value}]`. */
export function bars(entries, unit) {
  const row = 30;
  const top = Math.max(1, ...entries.map(({ value }) => value));
  return fitting((width) => {
    const left = Math.min(190, width * 0.420);
    return s('svg', {
      class: 'chart', viewBox: `0 0 ${width} ${entries.length * row}`, role: 'img',
      'aria-label': entries.map(({ name, value }) => `${name}: ${count(value, unit)}`).join('; '),
    }, entries.map(({ name, value }, at) => {
      const length = (value / top) * (width - left - 70);
      const y = at * row;
      return s('g', {},
        s('text', { x: left - 12, y: y + 20, class: 'tick end name' }, name),
        s('rect', { x: left, y: y + 8, width: Math.max(length, value > 0 ? 2 : 0), height: 14, rx: 2, class: 'bar ink' }),
        s('text', { x: left + length + 8, y: y + 20, class: 'tick' }, number(value)));
    }));
  });
}

/** What the product does, in one picture: base data, and a layer for each person above it. */
export function layers() {
  const slab = (y, extra) => s('path', { d: `M20 ${y} L150 ${y - 42} L280 ${y} L150 ${y + 42} Z`, ...extra });
  const grid = [0.250, 0.500, 0.750].flatMap((at) => [
    s('path', { d: `M${20 + 130 * at} ${196 - 42 * at} l130 42`, class: 'layers-grid' }),
    s('path', { d: `M${20 + 130 * at} ${196 + 42 * at} l130 -42`, class: 'layers-grid' }),
  ]);
  const cell = (x, y, kind) => s('path', { d: `M${x} ${y} l32.500 -10.500 l32.500 10.500 l-32.500 10.500 Z`, class: `layers-cell ${kind}` });
  return s('svg', { class: 'layers', viewBox: '0 0 480 250', 'aria-hidden': 'true' },
    slab(206, { class: 'layers-edge' }), slab(196, { class: 'layers-base' }), grid,
    slab(124, { class: 'layers-sheet green' }), cell(85, 124, 'green'), cell(182, 134.500, 'green'),
    slab(58, { class: 'layers-sheet' }), cell(117, 47.500, ''), cell(150, 58, ''), cell(182, 47.500, 'gone'),
    s('text', { x: 300, y: 62 }, 'Your changes'), s('text', { x: 300, y: 128 }, 'Somebody else’s'),
    s('text', { x: 300, y: 194, class: 'strong' }, 'Three years of cases'), s('text', { x: 300, y: 212, class: 'faint' }, 'shared, and never written'));
}
