// One person's world: the API with that person's token, and what the pages need to know about the session.
//
// The whole page has one world; side by side has two, which share nothing but this code.

import { Problem, call, query } from './api.js';
import * as people from './people.js';

const PAGE = 200;
/** How many deletions of one kind of record are looked through. */
const MOST_DELETIONS = 1000;
/** What hangs on a record and is deleted with it: kind, and the field that names the record. */
const CHILDREN = {
  case: [['subject', 'caseId'], ['message', 'caseId'], ['investigation', 'caseId'], ['association', 'caseId']],
  investigation: [['note', 'investigationId']],
};

/**
 * Events: `changed` after every write of this world, `session` when `session` and `archives` are fresh, `expired`
 * when the person has to sign in again.
 */
export class World extends EventTarget {
  /** `{sessionId, changes, totalChanges, …}` as last read. */
  session = null;
  /** The resets of this session, newest first, as last read. */
  archives = [];
  #references = new Map();
  #deletions = new Map();

  /** `go(path)` shows another page; `scroller` is what scrolls it, the window without one. */
  constructor({ user, go, scroller = null, isPane = false }) {
    super();
    this.user = user;
    this.go = go;
    this.scroller = scroller;
    this.isPane = isPane;
  }

  get isAdministrator() {
    return this.user.role === 'SYSTEM_ADMIN';
  }

  async #call(method, path, options = {}) {
    const entry = people.signedIn(this.user.email);
    try {
      return await call(method, path, { ...options, token: entry?.token });
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      people.forget(this.user.email);
      if (people.knowsPassword()) {
        // The token's hour is over: the password, still in memory, gets another one.
        const renewed = await people.signIn(this.user.email).catch(() => null);
        if (renewed) return call(method, path, { ...options, token: renewed.token });
      }
      this.dispatchEvent(new Event('expired'));
      throw error;
    }
  }

  /** Reads; gives the body. */
  async get(path, parameters = {}) {
    return (await this.#call('GET', path + query(parameters))).data;
  }

  /** Reads one record with its version. */
  async read(path) {
    return this.#call('GET', path);
  }

  /** Writes; gives the body. */
  async send(method, path, body, ifMatch) {
    const { data } = await this.#call(method, path, { body, ifMatch });
    this.changed();
    return data;
  }

  /** Does what writes nothing that lists show. */
  async post(path, body) {
    return (await this.#call('POST', path, { body })).data;
  }

  /** What was read before may be old now. */
  changed() {
    this.#deletions.clear();
    this.dispatchEvent(new Event('changed'));
    this.refresh().catch(() => {});
  }

  /** Reads the session and its archives anew. */
  async refresh() {
    const [session, archives] = await Promise.all([this.get('/demo/session'), this.get('/demo/archives')]);
    this.session = session;
    this.archives = archives.items;
    this.dispatchEvent(new Event('session'));
  }

  /** Every item of a list that is short. */
  async all(path, parameters = {}, most = Infinity) {
    const items = [];
    let cursor = null;
    do {
      const page = await this.get(path, { ...parameters, limit: PAGE, cursor });
      items.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor && items.length < most);
    return items;
  }

  /** Reference data by id: `categories`, `locations`, `users`. The same for everybody, so it is read once. */
  reference(name) {
    if (!this.#references.has(name)) {
      const loaded = this.all(`/${name}`).then((items) => new Map(items.map((item) => [item.id, item])));
      loaded.catch(() => this.#references.delete(name));
      this.#references.set(name, loaded);
    }
    return this.#references.get(name);
  }

  /** All that values can refer to, for telling them. */
  async references() {
    const [categories, locations, users] = await Promise.all(['categories', 'locations', 'users'].map((name) => this.reference(name)));
    return { categories, locations, users };
  }

  /** What this session deleted of one kind of record, newest first. */
  deletions(entityType) {
    if (!this.#deletions.has(entityType)) {
      const loaded = this.all('/demo/changes', { entityType, kind: 'deleted' }, MOST_DELETIONS);
      loaded.catch(() => this.#deletions.delete(entityType));
      this.#deletions.set(entityType, loaded);
    }
    return this.#deletions.get(entityType);
  }

  /** What this session changed about one record, however long ago; null for nothing. */
  async change(entityType, entityId) {
    const { items } = await this.get('/demo/changes', { entityType, entityId, limit: 1 });
    return items[0] ?? null;
  }

  /**
   * Takes back the changes of single records, `{entityType, entityId, kind}`. A deletion took along what hung on the
   * record, so that comes back with it.
   */
  async takeBack(records) {
    const wanted = [...records];
    for (const { entityType, entityId, kind } of wanted) {
      for (const [child, parent] of (kind === 'deleted' && CHILDREN[entityType]) || []) {
        const gone = await this.deletions(child);
        wanted.push(...gone.filter(({ fields }) => fields.some(({ name, base }) => name === parent && base === entityId)));
      }
    }
    const named = wanted.map(({ entityType, entityId }) => ({ entityType, entityId }));
    return this.send('POST', '/demo/reset', { confirmationToken: 'CONFIRM_RESET', records: named });
  }
}
