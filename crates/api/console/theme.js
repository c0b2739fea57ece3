// Light, dark, or as the system has it. Kept for the browser: it says nothing about anybody.

import { fill, h } from './dom.js';
import { icon } from './icons.js';

const STORE = 'demo-reset.theme';
const THEMES = [['auto', 'As the system'], ['light', 'Light'], ['dark', 'Dark']];
const ICONS = { auto: 'auto', light: 'sun', dark: 'moon' };

const stored = () => localStorage.getItem(STORE) ?? 'auto';

function apply(theme) {
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export const applyTheme = () => apply(stored());

/** A button that goes round the themes. */
export function themeButton() {
  const node = h('button', { type: 'button', class: 'button-icon', onclick: () => {
    const next = (THEMES.findIndex(([theme]) => theme === stored()) + 1) % THEMES.length;
    localStorage.setItem(STORE, THEMES[next][0]);
    apply(THEMES[next][0]);
    show();
  } });
  const show = () => {
    const [theme, name] = THEMES.find(([each]) => each === stored());
    node.setAttribute('aria-label', `Colours: ${name.toLowerCase()}`);
    node.title = `Colours: ${name.toLowerCase()}`;
    fill(node, icon(ICONS[theme]));
  };
  show();
  return node;
}
