// What records are made of, from the API's own document, so that forms cannot drift from what the server accepts.

import { call } from './api.js';

let loaded = null;

function schemas() {
  loaded ??= call('GET', '/openapi.json').then(({ data }) => data.components.schemas).catch((error) => {
    loaded = null;
    throw error;
  });
  return loaded;
}

/** The fields that a schema takes: `{name: {choices, most, isRequired, isNullable, initial}}`. */
export async function fieldsOf(schema) {
  const found = (await schemas())[schema];
  const describe = ([name, field]) => [name, {
    choices: field.enum?.filter((word) => word !== null) ?? null,
    most: field.maxLength ?? null,
    isRequired: found.required.includes(name),
    isNullable: Array.isArray(field.type) && field.type.includes('null'),
    initial: field.default ?? null,
  }];
  return Object.fromEntries(Object.entries(found.properties).map(describe));
}

/** The words that a field of a record can be. */
export async function choices(record, field) {
  return (await fieldsOf(record))[field].choices;
}
