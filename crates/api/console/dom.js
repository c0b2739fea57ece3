// Building the page: elements from plain calls, never from text, so that nothing a user wrote is ever read as HTML.

const SVG = 'http://www.w3.org/2000/svg';

function build(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'style') Object.entries(value).forEach(([property, v]) => node.style.setProperty(property, v));
    else if (name !== 'value') node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  // A select takes its value only once its options are there.
  if (props && props.value !== undefined && props.value !== null) node.value = props.value;
  return node;
}

/** An HTML element. Props are attributes, `onclick` and the like are listeners, `style` an object of properties. */
export function h(tag, props, ...children) {
  return build(document.createElement(tag), props, children);
}

/** An SVG element. */
export function s(tag, props, ...children) {
  return build(document.createElementNS(SVG, tag), props, children);
}

/** Puts other content into a node. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

let lastId = 0;

/** An id for an element that another one refers to. */
export function newId(prefix) {
  lastId += 1;
  return `${prefix}-${lastId}`;
}
