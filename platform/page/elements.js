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
        act(() => submit(event.target.elements));
      },
    },
    ...children,
  );
}

export const button = (text, action, attributes = {}) =>
  h('button', { type: 'button', ...attributes, onclick: () => act(action) }, text);

/** Runs something that a person asked for; its error is shown. */
export async function act(action) {
  say('');
  try {
    await action();
  } catch (error) {
    say(error.message);
  }
}

export function say(text) {
  document.querySelector('#status').textContent = text;
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

export const count = (n, one, many) => `${n} ${n === 1 ? one : many}`;
