// The few icons, drawn on a grid of 16.

import { s } from './dom.js';

const PATHS = {
  cases: 'M2.500 4.500h11v9h-11zM6 4.500v-2h4v2M2.500 8.500h11',
  changes: 'M3 13l.8-3.200L10.600 3l2.400 2.400-6.800 6.800zM9.200 4.400l2.400 2.400',
  reset: 'M3 8a5 5 0 1 0 1.600-3.700M3 2.500v3h3',
  proof: 'M8 1.800l5 1.900v4c0 3.200-2.100 5.300-5 6.500-2.900-1.200-5-3.300-5-6.500v-4zM5.800 8l1.600 1.600 2.900-3.100',
  sides: 'M2 3h5v10H2zM9 3h5v10H9z',
  admin: 'M6 7.500a2.200 2.200 0 1 0 0-4.400 2.200 2.200 0 0 0 0 4.400zM2 13c.2-2.300 1.800-3.700 4-3.700S9.800 10.700 10 13M10.500 7.500a1.800 1.800 0 1 0 0-3.600M11.500 9.600c1.500.3 2.400 1.500 2.500 3.400',
  search: 'M7 11.500a4.500 4.500 0 1 0 0-9 4.500 4.500 0 0 0 0 9zM10.500 10.500l3 3',
  add: 'M8 3v10M3 8h10',
  close: 'M4 4l8 8M12 4l-8 8',
  back: 'M9.500 3.500L5 8l4.500 4.500',
  sun: 'M8 10.800a2.800 2.800 0 1 0 0-5.600 2.800 2.800 0 0 0 0 5.600zM8 1.500v1.200M8 13.300v1.200M1.500 8h1.200M13.300 8h1.200M3.400 3.400l.9.9M11.700 11.700l.9.9M3.400 12.600l.9-.9M11.700 4.300l.9-.9',
  moon: 'M13 9.500A5.500 5.500 0 0 1 6.500 3a5.500 5.500 0 1 0 6.500 6.500z',
  auto: 'M8 13.500a5.500 5.500 0 1 0 0-11zM8 2.500a5.500 5.500 0 0 0 0 11',
  check: 'M3 8.500l3.200 3.200L13 4.800',
  out: 'M6.500 2.500h-4v11h4M6 8h8M11 5l3 3-3 3',
  warn: 'M8 2l6.500 11.500h-13zM8 6.500v3M8 11.500v.2',
};

/** An icon beside words; it says nothing by itself. */
export function icon(name) {
  return s('svg', { viewBox: '0 0 16 16', class: 'icon', 'aria-hidden': 'true' }, s('path', { d: PATHS[name] }));
}

/** The mark of the product: base data below, a layer of one's own above. */
export function logo() {
  return s('svg', { viewBox: '0 0 32 32', class: 'logo', 'aria-hidden': 'true' },
    s('path', { class: 'logo-base', d: 'M5 21.500 16 26.500l11-5-11-5z' }),
    s('path', { class: 'logo-layer', d: 'M5 11 16 16l11-5L16 6z' }));
}
