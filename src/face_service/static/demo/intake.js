// The ways a picture gets onto the page: chosen, dropped, pasted, taken.

import { takePicture } from './camera.js';
import { html } from './dom.js';
import { drawing } from './figure.js';

/** A place to drop a picture, with buttons for those who do not drop. */
export function dropZone({ title, hint, primary }, take) {
  const choose = html('button', { class: primary ? 'primary' : '', type: 'button',
    onclick: () => chooseFile(take) }, 'Choose a photo');
  const camera = html('button', { type: 'button', onclick: async () => {
    const file = await takePicture(document.getElementById('camera'));
    if (file) take([file]);
  } }, 'Use the camera');
  return html('div', { class: primary ? 'drop wide' : 'drop' },
    html('div', {}, html('p', {}, html('strong', {}, title), hint),
      html('div', { class: 'actions' }, choose, camera)),
    primary ? drawing() : null);
}

export function chooseFile(take) {
  const input = html('input', { type: 'file', accept: 'image/*', multiple: true });
  input.addEventListener('change', () => take([...input.files]));
  input.click();
}

/** Calls `take(files, target)` for what is dropped anywhere, and `take(files, null)` for a paste. */
export function listen(take) {
  const clear = () => document.querySelectorAll('.over').forEach((node) => node.classList.remove('over'));
  const place = (event) => event.target.closest?.('.picture, .drop');
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    clear();
    (place(event) ?? document.querySelector('.drop'))?.classList.add('over');
  });
  document.addEventListener('dragleave', (event) => event.relatedTarget ?? clear());
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    clear();
    const files = [...event.dataTransfer.files];
    if (files.length) take(files, place(event));
  });
  document.addEventListener('paste', (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) take(files, null);
  });
}
