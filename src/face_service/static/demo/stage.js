// One picture on the page: its frame, what is drawn on it, its contact sheet.

import { html, svg } from './dom.js';
import { draw, faceAt } from './overlay.js';
import { Sheet } from './sheet.js';
import { count } from './words.js';

/** `choose(index)` when a face is pointed at, `replace()` when another picture is wanted. */
export class Stage {
  faces = [];
  active = null;

  constructor(name, { choose, replace }) {
    this.choose = choose;
    this.overlay = svg('svg', { class: 'overlay', 'aria-hidden': 'true' });
    this.frame = html('div', { class: 'frame',
      onpointermove: (event) => this.#point(event), onpointerdown: (event) => this.#point(event) });
    this.sheet = new Sheet(`Faces in ${name}`, choose);
    this.title = html('span');
    this.element = html('figure', { class: 'picture', 'aria-label': name },
      html('div', { class: 'mat' }, this.frame),
      html('figcaption', { class: 'caption' }, this.title,
        html('button', { class: 'quiet', type: 'button', onclick: replace,
          'aria-label': `Replace ${name}` }, 'Replace')),
      this.sheet.element);
    new ResizeObserver(() => this.#draw()).observe(this.frame);
  }

  /** Show a picture whose faces are not known yet. */
  show(picture) {
    this.picture = picture;
    this.frame.replaceChildren(picture.shown ? picture.image : blank(), this.overlay);
    this.found([]);
    picture.image.alt = picture.name;
  }

  /** Whether an answer is waited for, and whether the last one was none. */
  wait(busy, failed = false) {
    this.element.classList.toggle('busy', busy);
    this.element.classList.toggle('failed', failed);
    this.element.setAttribute('aria-busy', String(busy));
  }

  found(faces) {
    this.faces = faces;
    this.active = null;
    const { name, width, height, image } = this.picture;
    image.alt = `${name}: ${count(faces.length, 'face').toLowerCase()} found`;
    this.title.textContent = width ? `${name} · ${width} × ${height}` : name;
    this.#proportion();
    this.sheet.fill(this.picture, faces);
    this.#draw();
  }

  activate(index) {
    this.active = index;
    this.sheet.activate(index);
    this.#mark();
  }

  /** A face's box in pixels of the window; `above` and `below` are the ends of what is drawn of it. */
  box(index) {
    const { left, top } = this.frame.getBoundingClientRect();
    const [x1, y1, x2, y2] = this.faces[index].bbox.map((value) => value * this.#scale());
    const { y, height } = this.groups[index].getBBox();
    return { left: left + x1, top: top + y1, right: left + x2, bottom: top + y2,
      above: top + y, below: top + y + height };
  }

  #scale() {
    return this.frame.clientWidth / (this.picture.width || 1);
  }

  #proportion() {
    const { width, height } = this.picture;
    this.frame.style.setProperty('--ratio', width / height || 1.5);
    this.frame.style.setProperty('--natural', `${width || 400}px`);
  }

  #draw() {
    if (!this.picture) return;
    this.groups = draw(this.overlay, this.faces, this.#scale(), this.frame.clientWidth);
    this.#mark();
  }

  #mark() {
    this.groups?.forEach((group, index) => group.classList.toggle('on', index === this.active));
    // What is drawn last lies on top; the class of every group stays with its face.
    if (this.active !== null) this.overlay.append(this.groups[this.active]);
  }

  #point(event) {
    const { left, top } = this.frame.getBoundingClientRect();
    const index = faceAt(this.faces, this.#scale(), event.clientX - left, event.clientY - top);
    if (index !== null && index !== this.active) this.choose(index);
  }
}

function blank() {
  return html('p', { class: 'blank' },
    'This browser cannot show this format; the service reads it all the same.');
}
