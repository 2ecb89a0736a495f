// The contact sheet: every face of a picture, to walk through by arrow keys, finger or mouse.

import { html } from './dom.js';
import { brief, spoken } from './words.js';

const SIZE = 56;

/** A listbox of faces; `choose(index)` is called when one is pointed at or walked to. */
export class Sheet {
  constructor(label, choose) {
    this.choose = choose;
    this.element = html('ul', { class: 'sheet', role: 'listbox', 'aria-label': label,
      'aria-orientation': 'horizontal', onkeydown: (event) => this.#walk(event) });
    this.thumbs = [];
  }

  fill(picture, faces) {
    this.thumbs = faces.map((face, index) => {
      const canvas = html('canvas', { 'aria-hidden': 'true' });
      picture.cut(canvas, face.bbox, SIZE);
      const caption = brief(face) || face.det_score.toFixed(2);
      return html('li', { class: 'thumb', role: 'option', tabindex: index ? '-1' : '0',
        'aria-selected': 'false', 'aria-label': spoken(face, index, faces.length),
        onclick: () => this.#go(index), onfocus: () => this.choose(index),
        onpointerenter: (event) => event.pointerType === 'mouse' && this.choose(index) },
      canvas, html('span', { class: face.usable === false ? 'unfit' : '' }, caption));
    });
    this.element.replaceChildren(...this.thumbs);
    this.element.hidden = faces.length === 0;
  }

  activate(index) {
    this.thumbs.forEach((thumb, at) => {
      thumb.setAttribute('aria-selected', String(at === index));
      thumb.tabIndex = at === (index ?? 0) ? 0 : -1;
    });
  }

  #go(index) {
    this.thumbs[index]?.focus();
  }

  #walk(event) {
    const at = this.thumbs.indexOf(document.activeElement);
    const last = this.thumbs.length - 1;
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1,
      Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#go(Math.max(0, Math.min(to, last)));
  }
}
