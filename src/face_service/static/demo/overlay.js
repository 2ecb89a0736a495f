// Draws faces over a picture in CSS pixels: lines stay as fine on every screen and at every size.

import { svg } from './dom.js';
import { brief } from './words.js';

const LABEL = { height: 18, padding: 6, gap: 5 };
const TINY = 16; // a box under this width has its label only while it is pointed at

/** Draw `faces`, of a picture `scale` times smaller than its pixels, into an SVG element. */
export function draw(overlay, faces, scale, width) {
  const boxes = faces.map((face) => face.bbox.map((value) => value * scale));
  const labels = placeLabels(faces, boxes, width);
  const groups = faces.map((face, index) => {
    const group = svg('g', { class: face.usable === false ? 'unfit' : '' });
    group.append(...outline(boxes[index]), ...points(face, boxes[index], scale));
    if (face.quality) group.append(...level(face.quality.score, boxes[index]));
    const { x, y, text, wide, free } = labels[index];
    const label = svg('g', { class: free ? 'label' : 'label crowded' },
      svg('rect', { x, y, width: wide, height: LABEL.height, rx: 5 }),
      svg('text', { x: x + LABEL.padding, y: y + 12.5 }, text));
    group.append(label);
    return group;
  });
  overlay.replaceChildren(...groups);
  return groups;
}

/** The face at a point, both in CSS pixels of the picture: the smallest box around it. */
export function faceAt(faces, scale, x, y) {
  const slack = 6;
  let found = null;
  let least = Infinity;
  faces.forEach(({ bbox }, index) => {
    const [left, top, right, bottom] = bbox.map((value) => value * scale);
    const inside = x > left - slack && x < right + slack && y > top - slack && y < bottom + slack;
    const area = (right - left) * (bottom - top);
    if (inside && area < least) [found, least] = [index, area];
  });
  return found;
}

function outline([left, top, right, bottom]) {
  const [width, height] = [right - left, bottom - top];
  const arm = Math.min(14, width / 3, height / 3);
  const corners = [
    `M${left} ${top + arm}V${top}H${left + arm}`,
    `M${right - arm} ${top}H${right}V${top + arm}`,
    `M${right} ${bottom - arm}V${bottom}H${right - arm}`,
    `M${left + arm} ${bottom}H${left}V${bottom - arm}`,
  ].join('');
  const box = { x: left, y: top, width, height };
  return [
    svg('rect', { class: 'halo', ...box }),
    svg('rect', { class: 'box', ...box }),
    svg('path', { class: 'corner', d: corners }),
  ];
}

function points(face, [left, , right], scale) {
  const radius = Math.max(0.9, Math.min(2.4, (right - left) / 32));
  return (face.landmarks ?? []).map(([x, y]) =>
    svg('circle', { class: 'point', cx: x * scale, cy: y * scale, r: radius }));
}

/** The quality score as a level under the box. */
function level(score, [left, , right, bottom]) {
  const place = { x: left, y: bottom + 4, height: 3, rx: 1.5 };
  return [
    svg('rect', { class: 'track', ...place, width: right - left }),
    svg('rect', { class: 'level', ...place, width: Math.max(2, (right - left) * score) }),
  ];
}

/** Above its box, or below, or inside: the first place that covers no other face and no label. */
function placeLabels(faces, boxes, width) {
  const context = document.createElement('canvas').getContext('2d');
  context.font = `500 11px ${getComputedStyle(document.body).fontFamily}`;
  const taken = [...boxes];
  return faces.map((face, index) => {
    const [left, top, right, bottom] = boxes[index];
    const score = face.det_score.toFixed(2);
    const full = [brief(face), score].filter(Boolean).join(' · ');
    const text = right - left < 40 && brief(face) ? brief(face) : full;
    const wide = context.measureText(text).width + 2 * LABEL.padding;
    const x = Math.max(0, Math.min(left, width - wide));
    const above = top - LABEL.height - LABEL.gap;
    const candidates = [above, bottom + LABEL.gap + 6].filter((y) => y >= 0);
    const place = (y) => [x, y, x + wide, y + LABEL.height];
    const roomy = right - left > TINY;
    const y = candidates.find((at) => roomy && !taken.some((other) => overlap(place(at), other)));
    if (y !== undefined) taken.push(place(y));
    return { x, y: y ?? Math.max(0, above), text, wide, free: y !== undefined };
  });
}

function overlap([left, top, right, bottom], [otherLeft, otherTop, otherRight, otherBottom]) {
  return left < otherRight && right > otherLeft && top < otherBottom && bottom > otherTop;
}
