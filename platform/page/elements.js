/** Makes elements. Texts go in as texts, never as HTML: names come from anybody. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

/** A form that calls `submit` with its fields, and says what goes wrong. */
export function form(submit, ...children) {
  return h(
    'form',
    {
      onsubmit: (event) => {
        event.preventDefault();
        once(event.target, () => submit(event.target.elements));
      },
    },
    ...children,
  );
}

export function button(text, action, attributes = {}) {
  const onclick = (event) => once(event.currentTarget, action);
  return h('button', { type: 'button', ...attributes, onclick }, text);
}

/** Forms and buttons whose action is under way. */
const busy = new WeakSet();
const UNDER_WAY = 'Under way …';

/** Runs the action of a form or button; not again before it has ended, however often it is asked for. */
async function once(element, action) {
  if (busy.has(element)) return;
  busy.add(element);
  const late = setTimeout(say, 500, UNDER_WAY);
  await act(action);
  clearTimeout(late);
  if (status.textContent === UNDER_WAY) say('');
  busy.delete(element);
}

/** Runs something; its error is shown. */
export async function act(action) {
  say('');
  try {
    await action();
  } catch (error) {
    say(error.message);
  }
}

const status = document.querySelector('#status');

export function say(text) {
  status.textContent = text;
}

/** Faces as pictures, the first of many. */
export function faces(path, ids, label) {
  const pictures = ids
    .slice(0, 12)
    .map((id) =>
      h('li', {}, h('img', { src: `/api/${path}/${id}/picture`, alt: '', loading: 'lazy' })),
    );
  return h('ul', { class: 'faces', 'aria-label': label }, pictures);
}

/** 65,000 ms as 1:05. */
export const clock = (ms) =>
  `${Math.floor(ms / 60_000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, '0')}`;

/** As people read it: -0.00 is 0.00. */
export const cosine = (value) => (Math.round(value * 100) / 100 + 0).toFixed(2);

export const count = (n, one, many) => `${n} ${n === 1 ? one : many}`;
