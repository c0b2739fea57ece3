// Links inside a world.

import { h } from './dom.js';

/** A link to another page of the same world. In one half of side by side it stays in that half. */
export function link(world, path, props, ...children) {
  const stay = (event) => {
    if (!world.isPane || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    world.go(path);
  };
  return h('a', { href: `#${path}`, onclick: stay, ...props }, children);
}
