// How values are told to people.

const DATE = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
const TIME = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' });
const MONTH = new Intl.DateTimeFormat('en-GB', { month: 'long', year: 'numeric', timeZone: 'UTC' });
const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const NUMBER = new Intl.NumberFormat('en');

export const date = (time) => DATE.format(new Date(time));
export const dateTime = (time) => TIME.format(new Date(time));
/** `2026-02` as `February 2026`. */
export const month = (text) => MONTH.format(new Date(`${text}-01T00:00:00Z`));
export const number = (value) => NUMBER.format(value);

/** `3 cases`, `1 case`. */
export function count(value, singular, plural = `${singular}s`) {
  return `${number(value)} ${value === 1 ? singular : plural}`;
}

const UNITS = [['year', 31_536_000], ['month', 2_592_000], ['week', 604_800], ['day', 86_400], ['hour', 3_600], ['minute', 60]];

/** `5 minutes ago`. */
export function ago(time, now) {
  const seconds = (new Date(time).getTime() - now) / 1000;
  const unit = UNITS.find(([, length]) => Math.abs(seconds) >= length);
  return unit ? RELATIVE.format(Math.trunc(seconds / unit[1]), unit[0]) : 'just now';
}

/** What is left until a time, as `23:59:41`. */
export function countdown(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const two = (value) => String(value).padStart(2, '0');
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

/** Milliseconds with as many digits as tell something. */
export function duration(milliseconds) {
  if (milliseconds < 10) return `${milliseconds.toFixed(2)} ms`;
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

const WORDS = { RFI: 'Request for information', HR: 'HR', riu: 'report', rius: 'reports', auditLogs: 'audit entries', auditLog: 'audit entry' };

/** A word of the API for people: `WEB_FORM` as `Web form`, `baseCases` as `base cases`. */
export function words(text) {
  if (WORDS[text]) return WORDS[text];
  if (text === text.toUpperCase()) {
    const spaced = text.replaceAll('_', ' ').toLowerCase();
    return spaced.charAt(0).toUpperCase() + spaced.slice(1);
  }
  return text.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).replaceAll('_', ' ');
}

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export const fullName = (person) => `${person.firstName} ${person.lastName}`;
export const initials = (person) => `${person.firstName.charAt(0)}${person.lastName.charAt(0)}`;
