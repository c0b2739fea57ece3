// Calls of the API: JSON in and out, refusals as `Problem`, silence as `Away`.

import { connection } from './connection.js';

const BASE = '/api/v1';
const TIMEOUT = 60_000;

/** A refusal by the server (RFC 9457). */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.title ?? `The server answered ${status}.`);
    this.name = 'Problem';
    this.status = status;
    this.code = body.code ?? 'unknown';
    this.errors = body.errors ?? [];
    this.conflicts = body.conflicts ?? [];
    this.requestId = body.requestId ?? null;
  }
}

/** The server did not answer. */
export class Away extends Error {
  constructor() {
    super('The server does not answer.');
    this.name = 'Away';
  }
}

/** Sends a request; `{data, etag, milliseconds}`. */
export async function call(method, path, { token, body, ifMatch } = {}) {
  const headers = { accept: 'application/json' };
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (ifMatch) headers['if-match'] = ifMatch;
  const started = performance.now();
  let response;
  let text;
  try {
    const options = { method, headers, signal: AbortSignal.timeout(TIMEOUT) };
    if (body !== undefined) options.body = JSON.stringify(body);
    response = await fetch(path.startsWith('/openapi') ? path : BASE + path, options);
    text = await response.text();
  } catch {
    connection.lost();
    throw new Away();
  }
  connection.heard(response);
  const data = text === '' ? null : parse(text);
  if (!response.ok) throw new Problem(response.status, data ?? {});
  return { data, etag: response.headers.get('etag'), milliseconds: performance.now() - started };
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** A query string of the parameters that have a value. */
export function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== '');
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}
