// Forms for records, made from what the API says about their fields.

import { Away, Problem } from './api.js';
import { fill, h, newId } from './dom.js';
import { fullName, words } from './format.js';
import { KINDS } from './records.js';
import { fieldsOf } from './schema.js';
import { button, describe, dialog } from './ui.js';

const two = (value) => String(value).padStart(2, '0');

/** A time as the browser's own input for times takes it: local, to the minute. */
function localTime(time) {
  if (!time) return '';
  const at = new Date(time);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** How one field is typed in: its element, what stands in it, and the value for the API. */
function input(world, name, type, spec, value, references) {
  const common = { id: newId(name), name, class: 'field', required: spec.isRequired, maxlength: spec.most };
  const orNull = (text) => (text === '' ? null : text);
  if (references[type]) {
    const options = [...references[type].values()].map((item) => [item.id, item.name ?? fullName(item)]);
    options.sort((a, b) => a[1].localeCompare(b[1]));
    return choice(common, options, value, spec);
  }
  if (spec.choices) return choice(common, spec.choices.map((word) => [word, words(word)]), value, spec);
  if (type === 'flag') {
    const node = h('input', { ...common, class: 'check', type: 'checkbox', checked: value === true, required: false });
    return { node, shown: () => String(node.checked), given: () => node.checked };
  }
  const text = value === null || value === undefined ? '' : String(value);
  if (type === 'text') {
    const node = h('textarea', { ...common, rows: name === 'details' ? 8 : 3, value: text });
    return { node, shown: () => node.value, given: () => orNull(node.value.trim()) };
  }
  if (type === 'number') {
    const node = h('input', { ...common, type: 'number', min: 0, max: 100, value: text });
    return { node, shown: () => node.value, given: () => (node.value === '' ? null : Number(node.value)) };
  }
  if (type === 'time') {
    const node = h('input', { ...common, type: 'datetime-local', value: localTime(value) });
    return { node, shown: () => node.value, given: () => (node.value === '' ? null : new Date(node.value).toISOString()) };
  }
  if (type === 'tags') {
    const node = h('input', { ...common, type: 'text', value: (value ?? []).join(', '), maxlength: null });
    const tags = () => node.value.split(',').map((tag) => tag.trim()).filter((tag) => tag !== '');
    return { node, shown: () => node.value, given: tags, hint: 'Separated by commas.' };
  }
  const node = h('input', { ...common, type: 'text', value: text });
  return { node, shown: () => node.value, given: () => orNull(node.value.trim()) };
}

function choice(common, options, value, spec) {
  const start = value ?? spec.initial ?? '';
  const none = spec.isNullable ? [['', 'None']] : [];
  const node = h('select', { ...common, maxlength: null },
    [...none, ...options].map(([key, text]) => h('option', { value: key, selected: key === start }, text)));
  return { node, shown: () => node.value, given: () => (node.value === '' ? null : node.value) };
}

/**
 * Asks for a record in a dialog and sends it; gives what the server answered, or null. With `record` it is an edit of
 * the fields that differ, and only if the record is still in the version `etag`; without, it is made at `at`.
 */
export async function recordForm(world, kindName, { record = null, etag = null, at = null, title, extra = {} }) {
  const kind = KINDS[kindName];
  const [specs, references] = await Promise.all([fieldsOf(record ? `${kind.schema}Patch` : `New${kind.schema}`), world.references()]);
  const asked = kind.fields.filter(([name]) => specs[name] && (record || !kind.asked || kind.asked.includes(name)));
  const rows = asked.map(([name, label, type]) => {
    const field = input(world, name, type, specs[name], record?.[name], references);
    const error = h('p', { class: 'field-error', id: newId('error') });
    const hint = field.hint && h('p', { class: 'field-hint' }, field.hint);
    const isWide = field.node.tagName === 'TEXTAREA' || type === 'line' || type === 'tags';
    const row = h('div', { class: isWide ? 'form-row wide' : 'form-row' },
      h('label', { for: field.node.id }, label, specs[name].isRequired && h('span', { class: 'required' }, ' required')),
      field.node, hint, error);
    return { name, field, error, row, before: field.shown() };
  });

  return dialog(title, (close) => {
    const problem = h('div', { class: 'form-problem', role: 'alert' });
    const save = button(record ? 'Save' : 'Create', null, { kind: 'primary' });
    save.type = 'submit';
    const tell = (failed) => {
      const fields = new Map((failed.errors ?? []).map(({ field, message }) => [field, message]));
      for (const { name, field, error } of rows) {
        error.textContent = fields.get(name) ?? '';
        field.node.toggleAttribute('aria-invalid', fields.has(name));
        if (fields.has(name)) field.node.setAttribute('aria-describedby', error.id);
        fields.delete(name);
      }
      const rest = [...fields].map(([name, message]) => `${name}: ${message}`).join(' ');
      fill(problem, failed instanceof Problem && failed.code === 'invalid' ? rest : failed.text ?? describe(failed));
      rows.find(({ field }) => field.node.hasAttribute('aria-invalid'))?.field.node.focus();
    };
    const submit = async (event) => {
      event.preventDefault();
      const missing = rows.filter(({ name, field }) => specs[name].isRequired && (field.given() === null || field.given() === ''));
      if (missing.length > 0) {
        tell({ errors: missing.map(({ name }) => ({ field: name, message: 'This is needed.' })), text: '' });
        return;
      }
      const given = rows.filter(({ field, before }) => !record || field.shown() !== before);
      const isLeft = (value, name) => value === null && !record && !specs[name].isRequired;
      const body = Object.fromEntries(given.map(({ name, field }) => [name, field.given()]).filter(([name, value]) => !isLeft(value, name)));
      if (record && given.length === 0) { close(null); return; }
      save.disabled = true;
      try {
        close(record
          ? await world.send('PATCH', `${kind.path}/${record.id}`, body, etag)
          : await world.send('POST', at, { ...body, ...extra }));
      } catch (failed) {
        const isStale = failed instanceof Problem && failed.status === 412;
        tell(isStale ? { text: 'This record was changed meanwhile, in another window of yours. Close this form to see it as it is now.' } : failed);
        if (!(failed instanceof Problem) && !(failed instanceof Away)) throw failed;
      } finally {
        save.disabled = false;
      }
    };
    return h('form', { class: 'dialog-body', novalidate: true, onsubmit: submit },
      h('div', { class: 'form-grid' }, rows.map(({ row }) => row)), problem,
      h('footer', {}, h('p', { class: 'muted grow' }, 'Only you will see this.'), button('Cancel', () => close(null)), save));
  }, { wide: true });
}
