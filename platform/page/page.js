import { get, post, Refused } from './api.js';
import { act, form, h, say } from './elements.js';
import { model } from './model.js';
import { people, person } from './people.js';
import { unknown } from './unknown.js';
import { video, videos } from './videos.js';

const PAGES = [
  [/^\/videos(?:\?(.*))?$/, videos],
  [/^\/videos\/(\d+)$/, video],
  [/^\/unknown(?:\?(.*))?$/, unknown],
  [/^\/people(?:\?(.*))?$/, people],
  [/^\/people\/(\d+)$/, person],
  [/^\/model$/, model],
];
const main = document.querySelector('main');
const nav = document.querySelector('nav');
let shown = 0;

/** Shows the page of the address. Pages that change by themselves are asked again. */
async function show() {
  const turn = ++shown;
  const path = location.hash.slice(1) || '/videos';
  const [pattern, page] = PAGES.find(([each]) => each.test(path)) ?? PAGES[0];
  const [, part] = pattern.exec(path) ?? [];
  for (const link of nav.querySelectorAll('a')) {
    const here = path.startsWith(link.hash.slice(1));
    if (here) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  try {
    const view = await page(part, show);
    if (turn !== shown) return;
    nav.hidden = false;
    main.replaceChildren(...view.content);
    document.title = `${main.querySelector('h1').textContent} · Who is in it?`;
    if (view.again) {
      // Not while somebody is in the middle of something.
      const idle = () => !main.contains(document.activeElement) || document.activeElement === main;
      const timer = setInterval(() => {
        if (turn !== shown) clearInterval(timer);
        else if (idle()) show();
      }, 2000);
    }
  } catch (error) {
    if (error instanceof Refused && error.status === 401) logIn();
    else say(error.message);
  }
}

function logIn() {
  nav.hidden = true;
  const field = (name, label, more) =>
    h('label', {}, label, h('input', { name, required: true, ...more }));
  main.replaceChildren(
    h('h1', {}, 'Log in'),
    form(
      async ({ name, password }) => {
        await post('/login', { name: name.value, password: password.value });
        await show();
      },
      field('name', 'Name', { autocomplete: 'username', value: 'admin' }),
      field('password', 'Password', { type: 'password', autocomplete: 'current-password' }),
      h('button', { class: 'main' }, 'Log in'),
    ),
  );
}

document.querySelector('#logout').addEventListener('click', () =>
  act(async () => {
    await post('/logout');
    logIn();
  }),
);
// The page changes under a double click: its second click would hit what was not meant.
document.addEventListener(
  'click',
  (event) => {
    if (event.detail < 2 || !event.target.closest('button')) return;
    event.preventDefault();
    event.stopPropagation();
  },
  { capture: true },
);
window.addEventListener('hashchange', () => {
  say('');
  show().then(() => main.focus());
});
await get('/session').then(show, logIn);
