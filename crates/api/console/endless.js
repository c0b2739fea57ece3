// Lists that go on while one scrolls. Only what is near is in the page: the rest keeps its height, not its elements.

import { fill, h } from './dom.js';
import { button, failure, skeleton } from './ui.js';

/** Items of each page after the first, which is short so that it is there soon. */
const NEXT_PAGE = 100;
const LONGEST_PAGE = 200;
/** How far from what is seen items are kept, and more of them asked for, in pixels. */
const NEAR = 2500;

/**
 * Pages of items (`load({cursor, limit})` gives `{items, nextCursor}`) in the element `list`, each drawn by `item`.
 * `scroller` is what scrolls them, the window without one.
 */
export function endless({ list, load, item, scroller = null, onpage = () => {} }) {
  /** What was loaded, page by page; a page that is far away has a `gap` in place of its `nodes`. */
  let pages = [];
  let cursor = null;
  let isLoading = false;
  let generation = 0;
  let isTrimming = false;
  const more = button('Load more', () => next());
  const foot = h('div', { class: 'endless-foot' }, more);
  const observer = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && cursor !== null) next();
  }, { root: scroller, rootMargin: `${NEAR}px` });
  observer.observe(foot);
  const onscroll = () => {
    if (isTrimming) return;
    isTrimming = true;
    requestAnimationFrame(() => { isTrimming = false; trim(); });
  };
  (scroller ?? window).addEventListener('scroll', onscroll, { passive: true });

  const size = () => pages.reduce((sum, page) => sum + page.items.length, 0);

  /** Draws the items of a page, each with its place in the whole list for those who do not see it. */
  function draw(page, total) {
    page.nodes = page.items.map((each, at) => {
      const node = item(each);
      node.setAttribute('aria-posinset', page.start + at + 1);
      node.setAttribute('aria-setsize', total ?? -1);
      return node;
    });
    return page.nodes;
  }

  function append({ items, total }) {
    const page = { items, total, start: size(), nodes: [], gap: null };
    list.append(...draw(page, total));
    if (items.length > 0) pages.push(page);
  }

  /** Takes the elements of what is far away out of the page, and puts those of what is near into it. */
  function trim() {
    if (!list.isConnected) return;
    const [top, bottom] = scroller ? [scroller.getBoundingClientRect().top, scroller.getBoundingClientRect().bottom] : [0, window.innerHeight];
    const places = pages.map((page) => {
      const [first, last] = page.gap ? [page.gap, page.gap] : [page.nodes[0], page.nodes.at(-1)];
      const [start, end] = [first.getBoundingClientRect().top, last.getBoundingClientRect().bottom];
      return { page, height: end - start, isNear: end > top - NEAR && start < bottom + NEAR };
    });
    for (const { page, height, isNear } of places) {
      if (isNear && page.gap) {
        const { gap } = page;
        page.gap = null;
        gap.replaceWith(...draw(page, page.total));
      } else if (!isNear && !page.gap && !page.nodes.some((node) => node.contains(document.activeElement))) {
        page.gap = h('li', { class: 'gap', 'aria-hidden': 'true', style: { height: `${height}px` } });
        page.nodes[0].before(page.gap);
        page.nodes.forEach((node) => node.remove());
        page.nodes = [];
      }
    }
  }

  /** Loads one page, and shows that it does; `shown` takes the answer unless the list was begun anew meanwhile. */
  async function loading(waiting, work, again) {
    const mine = generation;
    isLoading = true;
    fill(foot, waiting);
    list.setAttribute('aria-busy', 'true');
    try {
      await work(() => mine === generation);
      if (mine === generation) fill(foot, cursor !== null && more);
    } catch (error) {
      if (mine === generation) fill(foot, failure(error, again));
    } finally {
      if (mine === generation) {
        isLoading = false;
        list.removeAttribute('aria-busy');
        trim();
      }
    }
    // A short page may leave the end in sight, which the observer has told already.
    if (cursor !== null && mine === generation && foot.isConnected) { observer.unobserve(foot); observer.observe(foot); }
  }

  function next() {
    if (isLoading || cursor === null) return;
    loading(h('p', { class: 'muted' }, 'Loading more…'), async (isWanted) => {
      const answer = await load({ cursor, limit: NEXT_PAGE });
      if (!isWanted()) return;
      append(answer);
      cursor = answer.nextCursor;
      onpage(answer, false);
    }, () => next());
  }

  /** From the start, and at once as far as `least` items; what is seen stays in its place. */
  function restart(least = 0) {
    generation += 1;
    cursor = null;
    return loading(skeleton(8), async (isWanted) => {
      const answers = [];
      let got = 0;
      do {
        const limit = least > 0 ? Math.min(LONGEST_PAGE, Math.max(50, least - got)) : null;
        answers.push(await load({ cursor: answers.at(-1)?.nextCursor ?? null, limit }));
        if (!isWanted()) return;
        got += answers.at(-1).items.length;
      } while (got < least && answers.at(-1).nextCursor !== null);
      const place = (scroller ?? document.documentElement).scrollTop;
      pages = [];
      list.replaceChildren();
      answers.forEach(append);
      cursor = answers.at(-1).nextCursor;
      onpage(answers[0], true);
      if (least > 0) (scroller ?? window).scrollTo({ top: place, behavior: 'instant' });
    }, () => restart(least));
  }

  return {
    foot,
    restart,
    /** How many items were loaded. */
    size,
    dispose() {
      observer.disconnect();
      (scroller ?? window).removeEventListener('scroll', onscroll);
    },
  };
}
