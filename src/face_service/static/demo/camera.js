// A picture from the camera, if there is one and it may be used.

import { html } from './dom.js';

const TROUBLES = {
  NotAllowedError: 'The camera was not allowed. The browser’s address bar is where that can be changed.',
  NotFoundError: 'There is no camera on this device.',
  NotReadableError: 'Another program is using the camera.',
};

/** Opens a dialog and resolves to a JPEG file, or to null if there will be none. */
export async function takePicture(dialog) {
  const video = html('video', { autoplay: true, playsinline: true });
  video.muted = true;
  const trouble = html('p', { role: 'alert' });
  const take = html('button', { class: 'primary', type: 'button', disabled: true }, 'Take the picture');
  const close = html('button', { type: 'button', onclick: () => dialog.close() }, 'Close');
  dialog.replaceChildren(html('h2', { id: 'camera-title' }, 'Camera'), video, trouble,
    html('div', { class: 'actions' }, take, close));
  dialog.showModal();

  const closed = new Promise((done) => dialog.addEventListener('close', () => done(null), { once: true }));
  const taken = new Promise((done) => {
    take.onclick = () => done(still(video));
  });
  const stream = await open(video, trouble);
  take.disabled = stream === null;
  if (stream && dialog.open) take.focus();
  const file = await Promise.race([taken, closed]);
  stream?.getTracks().forEach((track) => track.stop());
  dialog.close();
  return file;
}

async function open(video, trouble) {
  try {
    if (!navigator.mediaDevices) throw new Error('insecure');
    const wanted = { video: { width: { ideal: 1920 }, height: { ideal: 1080 } } };
    const stream = await navigator.mediaDevices.getUserMedia(wanted);
    video.srcObject = stream;
    await video.play();
    return stream;
  } catch (error) {
    video.hidden = true;
    trouble.textContent = TROUBLES[error.name] ?? (navigator.mediaDevices
      ? `The camera cannot be used: ${error.message}`
      : 'Browsers give the camera only to pages over HTTPS and from localhost.');
    return null;
  }
}

function still(video) {
  const canvas = html('canvas', { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext('2d').drawImage(video, 0, 0);
  return new Promise((done) => canvas.toBlob(
    (blob) => done(new File([blob], 'camera.jpg', { type: 'image/jpeg' })), 'image/jpeg', 0.95));
}
