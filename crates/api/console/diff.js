// Differences between a base value and what the session made of it.

import { h } from './dom.js';

/** Longer texts are shown whole, the old one before the new one. */
const MOST_WORDS = 1500;

/** `[['same'|'gone'|'new', text], …]` between two texts, word by word (longest common subsequence). */
export function differences(before, after) {
  const a = before.match(/\s+|[^\s]+/g) ?? [];
  const b = after.match(/\s+|[^\s]+/g) ?? [];
  if (a.length > MOST_WORDS || b.length > MOST_WORDS) return [['gone', before], ['new', after]];
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = a[i] === b[j]
        ? lengths[(i + 1) * width + j + 1] + 1
        : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
    }
  }
  const parts = [];
  const push = (kind, text) => {
    if (parts.at(-1)?.[0] === kind) parts.at(-1)[1] += text;
    else parts.push([kind, text]);
  };
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { push('same', a[i]); i += 1; j += 1; }
    else if (i < a.length && (j === b.length || lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) { push('gone', a[i]); i += 1; }
    else { push('new', b[j]); j += 1; }
  }
  return parts;
}

const TAGS = { same: 'span', gone: 'del', new: 'ins' };

/** Both texts in one: what is gone struck out, what is new in ink. */
export function difference(before, after) {
  return h('div', { class: 'difference' }, differences(before, after).map(([kind, text]) => h(TAGS[kind], {}, text)));
}
