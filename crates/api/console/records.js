// The kinds of record: what they are called, where they are, and how their fields are shown and asked for.

import { h } from './dom.js';
import { date, dateTime, words } from './format.js';

/** `fields` in the order of the form: name, label, and how it is typed in where that does not follow from the API. */
export const KINDS = {
  case: {
    name: 'case', schema: 'Case', path: '/cases',
    fields: [
      ['summary', 'Summary', 'line'], ['details', 'Details', 'text'], ['status', 'Status'], ['severity', 'Severity'],
      ['caseType', 'Type'], ['sourceChannel', 'Channel'], ['categoryId', 'Category', 'categories'],
      ['locationId', 'Location', 'locations'], ['reporterType', 'Reporter'], ['reporterName', 'Reporter’s name'],
      ['reporterEmail', 'Reporter’s e-mail'], ['reporterPhone', 'Reporter’s phone'], ['riskScore', 'Risk score', 'number'],
      ['slaDueAt', 'Due', 'time'], ['outcome', 'Outcome'], ['closedAt', 'Closed', 'time'],
      ['outcomeNotes', 'Outcome notes', 'text'], ['tags', 'Tags', 'tags'],
    ],
    asked: ['summary', 'details', 'severity', 'caseType', 'sourceChannel', 'categoryId', 'locationId', 'reporterType', 'reporterName', 'tags'],
  },
  subject: {
    name: 'subject', schema: 'Subject', path: '/subjects', nested: 'subjects',
    fields: [
      ['name', 'Name'], ['role', 'Role'], ['relationship', 'Relationship'], ['jobTitle', 'Job title'],
      ['department', 'Department'], ['location', 'Location'], ['managerName', 'Manager'], ['notes', 'Notes', 'text'],
    ],
  },
  message: {
    name: 'message', schema: 'Message', path: '/messages', nested: 'messages',
    fields: [
      ['direction', 'Direction'], ['senderType', 'Sender'], ['subject', 'Subject', 'line'], ['content', 'Message', 'text'],
      ['isRead', 'Read', 'flag'],
    ],
  },
  investigation: {
    name: 'investigation', schema: 'Investigation', path: '/investigations', nested: 'investigations',
    fields: [
      ['status', 'Status'], ['investigationType', 'Type'], ['department', 'Department'], ['slaStatus', 'Schedule'],
      ['primaryInvestigatorId', 'Investigator', 'users'], ['dueDate', 'Due', 'time'],
      ['findingsSummary', 'Findings in short', 'text'], ['findingsDetail', 'Findings', 'text'], ['outcome', 'Outcome'],
      ['rootCause', 'Root cause', 'text'], ['lessonsLearned', 'Lessons learned', 'text'], ['closedAt', 'Closed', 'time'],
    ],
    asked: ['investigationType', 'department', 'primaryInvestigatorId', 'dueDate'],
  },
  note: {
    name: 'note', schema: 'Note', path: '/notes', nested: 'notes',
    fields: [['content', 'Note', 'text'], ['noteType', 'Type'], ['visibility', 'Visible to']],
  },
  association: {
    name: 'association', schema: 'Association', path: '/associations', nested: 'rius',
    fields: [['associationType', 'Relation'], ['notes', 'Notes', 'text']],
  },
  riu: {
    name: 'report', schema: 'Riu', path: '/rius',
    fields: [
      ['status', 'Status'], ['type', 'Type'], ['sourceChannel', 'Channel'], ['severity', 'Severity'],
      ['categoryId', 'Category', 'categories'], ['locationId', 'Location', 'locations'], ['reporterType', 'Reporter'],
      ['reporterName', 'Reporter’s name'], ['summary', 'Summary'], ['details', 'Details', 'text'],
    ],
  },
};

const LABELS = {
  updatedAt: 'Last edited', updatedById: 'Last edited by', createdAt: 'Created', createdById: 'Created by', caseId: 'Case',
  riuId: 'Report', investigationId: 'Investigation', readAt: 'Read', employeeId: 'Employee', referenceNumber: 'Number',
  investigationNumber: 'Number', aiSummary: 'AI summary', authorName: 'Author', reporterEmail: 'Reporter’s e-mail',
  reporterPhone: 'Reporter’s phone',
};

/** What a field is called. */
export function label(kind, name) {
  return KINDS[kind]?.fields.find(([field]) => field === name)?.[1] ?? LABELS[name] ?? words(name).replace(/^./, (c) => c.toUpperCase());
}

/** Fields that the server keeps by itself: nothing that a person did. */
export const BOOKKEEPING = ['updatedAt', 'updatedById'];

const ENUMERATED = /^(?!CASE-|RIU-)[A-Z][A-Z_]+$/;
const TIME = /At$|^dueDate$/;

/** A value as text. `references` tells what ids stand for. */
export function told(name, value, references) {
  if (value === null || value === undefined || value === '') return 'none';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(', ');
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (name === 'categoryId') return references?.categories.get(value)?.name ?? value;
  if (name === 'locationId') return references?.locations.get(value)?.name ?? value;
  if (/ById$|^primaryInvestigatorId$|^authorId$/.test(name)) {
    const user = references?.users.get(value);
    return user ? `${user.firstName} ${user.lastName}` : value;
  }
  if (TIME.test(name)) return dateTime(value);
  if (typeof value === 'string' && ENUMERATED.test(value)) return words(value);
  return String(value);
}

/** Whether a value is a text to be read, and not a short fact. */
export const isProse = (value) => typeof value === 'string' && (value.length > 60 || value.includes('\n'));

/** A point in time that tells more when pointed at. */
export const when = (time) => h('time', { datetime: time, title: dateTime(time) }, date(time));
export const whenExactly = (time) => h('time', { datetime: time }, dateTime(time));
