// One face in detail.

import { html } from './dom.js';
import { person, reasons } from './words.js';

const PORTRAIT = 104;

/** Everything the service said about a face. */
export function faceDetails(picture, face, index, total) {
  const portrait = html('canvas', { class: 'portrait', 'aria-hidden': 'true' });
  picture.cut(portrait, face.bbox, PORTRAIT);
  return html('section', { class: 'face' },
    html('div', { class: 'who' }, portrait,
      html('div', {},
        html('p', { class: 'soft small' }, `Face ${index + 1} of ${total}`),
        html('h2', {}, person(face, index)),
        face.age === null ? null : html('p', { class: 'soft small' }, 'an estimate'))),
    fitness(face),
    face.error && html('p', { class: 'problem' }, face.error),
    html('dl', { class: 'facts' }, facts(face), fingerprint(face)));
}

function fitness(face) {
  if (typeof face.usable !== 'boolean') return null;
  return face.usable
    ? html('p', { class: 'fit' }, 'Fit to be stored as a reference')
    : html('p', { class: 'fit no' }, `Not fit to be stored: ${reasons(face)}`);
}

function facts(face) {
  const [left, top, right, bottom] = face.bbox;
  const rows = [share('Detection', face.det_score)];
  if (face.quality) {
    const { score, sharpness, brightness, visible, size, pose } = face.quality;
    rows.push(share('Quality', score), share('Brightness', brightness), share('In the frame', visible),
      plain('Sharpness', sharpness.toFixed(sharpness < 10 ? 2 : 0)),
      plain('Size', `${Math.round(size)} px`), plain('Yaw, pitch, roll', degrees(pose)));
  } else {
    rows.push(plain('Size', `${Math.round(right - left)} × ${Math.round(bottom - top)} px`));
  }
  return rows;
}

function share(name, value) {
  const level = html('span');
  level.style.width = `${100 * value}%`;
  return html('div', {}, html('dt', {}, name), html('dd', { class: 'meter', 'aria-hidden': 'true' }, level),
    html('dd', {}, value.toFixed(2)));
}

function plain(name, text) {
  return html('div', { class: 'wide' }, html('dt', {}, name), html('dd', {}, text));
}

function degrees({ yaw, pitch, roll }) {
  return [yaw, pitch, roll].map((angle) => `${Math.round(angle)}°`.replace('-', '−')).join('  ');
}

/** The embedding as a strip of cells: positive numbers in one colour, negative in the other. */
function fingerprint({ embedding }) {
  if (!Array.isArray(embedding)) return null;
  const rows = 8;
  const canvas = html('canvas', { width: embedding.length / rows, height: rows,
    role: 'img', 'aria-label': `The ${embedding.length} numbers of the embedding as a pattern` });
  const context = canvas.getContext('2d');
  const style = getComputedStyle(document.documentElement);
  const most = Math.max(...embedding.map(Math.abs));
  embedding.forEach((value, at) => {
    context.globalAlpha = Math.abs(value) / most;
    context.fillStyle = style.getPropertyValue(value > 0 ? '--accent' : '--ink');
    context.fillRect(Math.floor(at / rows), at % rows, 1, 1);
  });
  return html('div', { class: 'wide' }, html('dt', {}, 'Embedding'),
    html('dd', {}, `${embedding.length} numbers`), html('dd', { class: 'print' }, canvas));
}
