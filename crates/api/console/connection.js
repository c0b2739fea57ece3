// Whether the server answers. When it does not, it is asked again until it does, and everybody is told.

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 8000;

class Connection extends EventTarget {
  away = false;
  #skew = 0;

  /** The time on the server's clock, in milliseconds: undo windows are the server's. */
  now() {
    return Date.now() + this.#skew;
  }

  /** An answer came. */
  heard(response) {
    const date = Date.parse(response.headers.get('date') ?? '');
    // The header is good to the second: anything less than two is no difference.
    const difference = date - Date.now();
    if (!Number.isNaN(date)) this.#skew = Math.abs(difference) > 2000 ? difference : 0;
    if (this.away) {
      this.away = false;
      this.dispatchEvent(new Event('back'));
    }
  }

  /** No answer came. */
  lost() {
    if (this.away) return;
    this.away = true;
    this.dispatchEvent(new Event('away'));
    this.#askAgain(FIRST_WAIT);
  }

  #askAgain(wait) {
    setTimeout(() => this.tryNow(wait), wait);
  }

  /** Asks now whether the server is there. */
  async tryNow(wait = LONGEST_WAIT) {
    if (!this.away) return;
    try {
      const response = await fetch('/readyz', { cache: 'no-store', signal: AbortSignal.timeout(5000) });
      if (response.ok) {
        this.heard(response);
        return;
      }
    } catch {
      // Still away.
    }
    this.#askAgain(Math.min(wait * 2, LONGEST_WAIT));
  }
}

export const connection = new Connection();
