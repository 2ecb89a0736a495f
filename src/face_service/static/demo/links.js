// Lines from the faces of one picture to those of the other.

import { svg } from './dom.js';
import { counterparts, isMatch } from './pairs.js';

const MOST = 12;

/** Draw the pairs worth a line: the one pointed at, and beside each other those of one person. */
export function drawLinks(overlay, { a, b }, pairs, chosen) {
  const origin = overlay.getBoundingClientRect();
  const stacked = b.element.offsetLeft < a.element.offsetLeft + a.element.offsetWidth;
  const matches = stacked ? [] : counterparts(pairs).filter(isMatch).slice(0, MOST);
  const shown = chosen && !matches.includes(chosen) ? [...matches, chosen] : matches;
  // The chosen one comes last, on top of the others.
  shown.sort((one, other) => (one === chosen) - (other === chosen));
  overlay.replaceChildren(...shown.map((pair) => {
    const { path, x, y } = curve(a.box(pair.a), b.box(pair.b), origin, stacked);
    const text = pair.similarity.toFixed(2);
    const labelled = !stacked && (shown.length < 4 || pair === chosen);
    const classes = [isMatch(pair) ? '' : 'no', pair === chosen ? 'on' : ''].join(' ');
    return svg('g', { class: classes }, svg('path', { class: 'halo', d: path }),
      svg('path', { class: 'line', d: path }),
      ...(labelled ? [svg('rect', { x: x - 22, y: y - 11, width: 44, height: 22, rx: 11 }),
        svg('text', { x, y: y + 4.5 }, text)] : []));
  }));
}

/** From the side of one box to that of the other: across, or down where pictures are stacked. */
function curve(from, to, origin, stacked) {
  const middle = (one, other) => (one + other) / 2;
  const [x1, y1, x2, y2] = stacked
    ? [middle(from.left, from.right), from.below, middle(to.left, to.right), to.above]
    : [from.right, middle(from.top, from.bottom), to.left, middle(to.top, to.bottom)];
  const [ax, ay, bx, by] = [x1 - origin.left, y1 - origin.top, x2 - origin.left, y2 - origin.top];
  const [mx, my] = [middle(ax, bx), middle(ay, by)];
  const bend = stacked ? `${ax} ${my} ${bx} ${my}` : `${mx} ${ay} ${mx} ${by}`;
  return { path: `M${ax} ${ay}C${bend} ${bx} ${by}`, x: mx, y: my };
}
