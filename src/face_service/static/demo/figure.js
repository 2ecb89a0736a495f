// The drawing in the empty page: a face, and what of it comes back.

import { svg } from './dom.js';

const LEADERS = [
  ['bbox', 'M290 50H318', 326, 54],
  ['landmarks', 'M228 126H318', 326, 130],
  ['age, gender', 'M258 178H318', 326, 182],
  ['quality', 'M290 264.5H318', 326, 268.5],
  ['embedding', 'M290 294H318', 326, 298],
];
const POINTS = [[162, 126], [218, 126], [190, 160], [167, 192], [213, 192]];
const HEAD = 'M118 128C118 76 148 44 190 44S262 76 262 128C262 160 256 188 240 210C226 230 208 242 190 242'
  + 'S154 230 140 210C124 188 118 160 118 128Z';
const CORNERS = 'M98 62V38H122M258 38H282V62M282 228V252H258M122 252H98V228';
const CELLS = [9, 3, 6, 8, 2, 7, 5, 9, 4, 6, 2, 8, 3, 7, 9, 5];

/** Decoration: everything in it is said in words beside it. */
export function drawing() {
  const cells = CELLS.map((weight, at) =>
    svg('rect', { x: 98 + at * 11.6, y: 284, width: 9.6, height: 20, rx: 2, class: 'cell', 'fill-opacity': weight / 10 }));
  return svg('svg', { class: 'drawing', viewBox: '84 24 330 292', 'aria-hidden': 'true' },
    svg('path', { class: 'head', d: HEAD }), svg('path', { class: 'frame-corners', d: CORNERS }),
    svg('path', { class: 'mesh', d: 'M162 126H218L190 160ZM190 160L167 192H213Z' }),
    ...POINTS.map(([cx, cy]) => svg('circle', { class: 'dot', cx, cy, r: 4.5 })),
    svg('rect', { class: 'rail', x: 98, y: 262, width: 184, height: 5, rx: 2.5 }),
    svg('rect', { class: 'fill', x: 98, y: 262, width: 141, height: 5, rx: 2.5 }), ...cells,
    ...LEADERS.flatMap(([name, d, x, y]) =>
      [svg('path', { class: 'leader', d }), svg('text', { x, y }, name)]));
}
