// Whether the service lets us in: is it there, is it ready, does it want a key.

import { useKey } from './api.js';
import { showPack } from './pack.js';

const at = (id) => document.getElementById(id);
const KEY = /^[\x21-\x7e]+$/; // what a header may hold

export class Door {
  #watching = null;
  #pending = null;

  constructor() {
    at('key').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#try(at('key-value').value.trim());
    });
  }

  /** Wait for the service and show its pack. True if it can be asked now. */
  async open() {
    this.#watching ??= showPack(at('state'), at('pack')).finally(() => { this.#watching = null; });
    try {
      await this.#watching;
      at('key').hidden = true;
      return true;
    } catch (problem) {
      at('key').hidden = problem.status !== 401;
      return false;
    }
  }

  /** Wait for what stood in the way of a request to pass. True if it may be sent again. */
  async mend({ status, retryAfter }) {
    if (status === 401) {
      at('key').hidden = false;
      at('key-value').focus();
      return new Promise((done) => { this.#pending = done; });
    }
    if (status === 429) {
      await new Promise((done) => setTimeout(done, 1000 * (retryAfter ?? 1)));
      return true;
    }
    return (status === 503 || status === 0) && this.open();
  }

  async #try(key) {
    if (!KEY.test(key)) {
      at('key-problem').textContent = 'A key is made of letters, digits and signs, without spaces.';
      return;
    }
    useKey(key);
    at('key-problem').textContent = '';
    if (await this.open()) this.#pending?.(true);
    else at('key-problem').textContent = 'The service does not know this key.';
  }
}
