-- The tables of the bundled compliance demo.
--
-- Every key and every index leads with the organization: rows of two organizations never meet, a child cannot
-- name a parent of another organization, and the same schema distributes by organization on a sharded database.
-- References to people, places and categories carry no index of their own: those rows are never deleted.

create table organizations (
  id uuid not null primary key,
  slug text not null unique,
  name text not null,
  created_at timestamptz not null
);

create table users (
  organization_id uuid not null references organizations (id),
  id uuid not null,
  email text not null unique,
  first_name text not null,
  last_name text not null,
  role text not null check (role in ('SYSTEM_ADMIN', 'COMPLIANCE_OFFICER', 'TRIAGE_LEAD', 'INVESTIGATOR',
    'POLICY_AUTHOR', 'POLICY_REVIEWER', 'MANAGER', 'EMPLOYEE')),
  created_at timestamptz not null,
  primary key (organization_id, id)
);

create table categories (
  organization_id uuid not null references organizations (id),
  id uuid not null,
  code text not null,
  name text not null,
  category_group text not null,
  severity text not null check (severity in ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
  sla_days integer not null check (sla_days > 0),
  created_at timestamptz not null,
  primary key (organization_id, id),
  unique (organization_id, code)
);

create table locations (
  organization_id uuid not null references organizations (id),
  id uuid not null,
  code text not null,
  name text not null,
  city text not null,
  country text not null,
  region text not null check (region in ('US', 'EMEA', 'APAC')),
  time_zone text not null,
  created_at timestamptz not null,
  primary key (organization_id, id),
  unique (organization_id, code)
);

create table employees (
  organization_id uuid not null references organizations (id),
  id uuid not null,
  employee_number text not null,
  first_name text not null,
  last_name text not null,
  email text not null,
  job_title text not null,
  division text not null,
  department text not null,
  location_id uuid not null,
  manager_id uuid,
  hired_at timestamptz not null,
  created_at timestamptz not null,
  primary key (organization_id, id),
  unique (organization_id, employee_number),
  unique (organization_id, email),
  foreign key (organization_id, location_id) references locations (organization_id, id),
  foreign key (organization_id, manager_id) references employees (organization_id, id)
);
create index employees_by_name on employees (organization_id, last_name, first_name, id);

create table rius (
  organization_id uuid not null references organizations (id),
  id uuid not null,
  reference_number text not null,
  riu_type text not null check (riu_type in ('HOTLINE_REPORT', 'WEB_FORM_SUBMISSION', 'DISCLOSURE_RESPONSE',
    'ATTESTATION_RESPONSE', 'CHATBOT_TRANSCRIPT', 'INCIDENT_FORM', 'PROXY_REPORT', 'SURVEY_RESPONSE')),
  source_channel text not null check (source_channel in ('PHONE', 'WEB_FORM', 'CHATBOT', 'EMAIL', 'PROXY',
    'DIRECT_ENTRY', 'CAMPAIGN')),
  details text not null check (length(details) <= 50000),
  summary text,
  status text not null default 'RECEIVED' check (status in ('PENDING_QA', 'IN_QA', 'QA_REJECTED', 'RELEASED',
    'LINKED', 'CLOSED', 'RECEIVED', 'COMPLETED')),
  severity text not null default 'MEDIUM' check (severity in ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
  reporter_type text not null default 'ANONYMOUS' check (reporter_type in ('ANONYMOUS', 'CONFIDENTIAL',
    'IDENTIFIED')),
  reporter_name text,
  reporter_email text,
  reporter_phone text,
  category_id uuid,
  location_id uuid,
  ai_summary text,
  risk_score integer check (risk_score between 0 and 100),
  created_at timestamptz not null,
  created_by_id uuid not null,
  primary key (organization_id, id),
  unique (organization_id, reference_number),
  foreign key (organization_id, category_id) references categories (organization_id, id),
  foreign key (organization_id, location_id) references locations (organization_id, id),
  foreign key (organization_id, created_by_id) references users (organization_id, id)
);
create index rius_by_creation on rius (organization_id, created_at, id);
create index rius_by_status on rius (organization_id, status, created_at, id);
create index rius_by_category on rius (organization_id, category_id, created_at, id);
create index rius_by_severity on rius (organization_id, severity, created_at, id);

create table cases (
  organization_id uuid not null references organizations (id),
  id uuid not null,
  reference_number text not null,
  details text not null check (length(details) <= 50000),
  summary text,
  status text not null default 'NEW' check (status in ('NEW', 'OPEN', 'CLOSED')),
  severity text not null default 'MEDIUM' check (severity in ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
  case_type text not null default 'REPORT' check (case_type in ('REPORT', 'RFI')),
  source_channel text not null default 'DIRECT_ENTRY' check (source_channel in ('HOTLINE', 'WEB_FORM', 'PROXY',
    'DIRECT_ENTRY', 'CHATBOT')),
  reporter_type text not null default 'ANONYMOUS' check (reporter_type in ('ANONYMOUS', 'IDENTIFIED', 'PROXY')),
  reporter_name text,
  reporter_email text,
  reporter_phone text,
  category_id uuid,
  location_id uuid,
  outcome text check (outcome in ('SUBSTANTIATED', 'UNSUBSTANTIATED', 'INCONCLUSIVE', 'POLICY_VIOLATION',
    'NO_VIOLATION')),
  outcome_notes text,
  tags jsonb not null default '[]',
  ai_summary text,
  risk_score integer check (risk_score between 0 and 100),
  sla_due_at timestamptz,
  closed_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  created_by_id uuid not null,
  updated_by_id uuid not null,
  primary key (organization_id, id),
  unique (organization_id, reference_number),
  foreign key (organization_id, category_id) references categories (organization_id, id),
  foreign key (organization_id, location_id) references locations (organization_id, id),
  foreign key (organization_id, created_by_id) references users (organization_id, id),
  foreign key (organization_id, updated_by_id) references users (organization_id, id)
);
create index cases_by_creation on cases (organization_id, created_at, id);
create index cases_by_update on cases (organization_id, updated_at, id);
create index cases_by_status on cases (organization_id, status, created_at, id);
create index cases_by_category on cases (organization_id, category_id, created_at, id);
create index cases_by_severity on cases (organization_id, severity, created_at, id);

create table investigations (
  organization_id uuid not null references organizations (id),
  id uuid not null,
  case_id uuid not null,
  investigation_number integer not null check (investigation_number > 0),
  investigation_type text not null default 'FULL' check (investigation_type in ('FULL', 'LIMITED', 'INQUIRY')),
  department text check (department in ('HR', 'LEGAL', 'SAFETY', 'COMPLIANCE', 'OTHER')),
  status text not null default 'NEW' check (status in ('NEW', 'ASSIGNED', 'INVESTIGATING', 'PENDING_REVIEW',
    'CLOSED', 'ON_HOLD')),
  sla_status text not null default 'ON_TRACK' check (sla_status in ('ON_TRACK', 'WARNING', 'OVERDUE')),
  primary_investigator_id uuid,
  due_date timestamptz,
  findings_summary text,
  findings_detail text,
  outcome text check (outcome in ('SUBSTANTIATED', 'UNSUBSTANTIATED', 'INCONCLUSIVE', 'POLICY_VIOLATION',
    'NO_VIOLATION', 'INSUFFICIENT_EVIDENCE')),
  root_cause text,
  lessons_learned text,
  closed_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  created_by_id uuid not null,
  updated_by_id uuid not null,
  primary key (organization_id, id),
  unique (organization_id, case_id, investigation_number),
  foreign key (organization_id, case_id) references cases (organization_id, id) on delete cascade,
  foreign key (organization_id, primary_investigator_id) references users (organization_id, id),
  foreign key (organization_id, created_by_id) references users (organization_id, id),
  foreign key (organization_id, updated_by_id) references users (organization_id, id)
);
create index investigations_by_case on investigations (organization_id, case_id, created_at, id);
create index investigations_by_creation on investigations (organization_id, created_at, id);
create index investigations_by_status on investigations (organization_id, status, created_at, id);

create table subjects (
  organization_id uuid not null references organizations (id),
  id uuid not null,
  case_id uuid not null,
  name text not null,
  role text not null check (role in ('REPORTER', 'ACCUSED', 'WITNESS', 'VICTIM', 'OTHER')),
  employee_id uuid,
  relationship text,
  department text,
  location text,
  job_title text,
  manager_name text,
  notes text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  created_by_id uuid not null,
  primary key (organization_id, id),
  foreign key (organization_id, case_id) references cases (organization_id, id) on delete cascade,
  foreign key (organization_id, employee_id) references employees (organization_id, id),
  foreign key (organization_id, created_by_id) references users (organization_id, id)
);
create index subjects_by_case on subjects (organization_id, case_id, created_at, id);
create index subjects_by_employee on subjects (organization_id, employee_id);

create table case_messages (
  organization_id uuid not null references organizations (id),
  id uuid not null,
  case_id uuid not null,
  direction text not null check (direction in ('INBOUND', 'OUTBOUND')),
  sender_type text not null default 'INVESTIGATOR' check (sender_type in ('REPORTER', 'INVESTIGATOR', 'SYSTEM')),
  subject text,
  content text not null check (length(content) <= 50000),
  is_read boolean not null default false,
  read_at timestamptz,
  created_at timestamptz not null,
  created_by_id uuid,
  primary key (organization_id, id),
  foreign key (organization_id, case_id) references cases (organization_id, id) on delete cascade,
  foreign key (organization_id, created_by_id) references users (organization_id, id)
);
create index case_messages_by_case on case_messages (organization_id, case_id, created_at, id);

create table investigation_notes (
  organization_id uuid not null references organizations (id),
  id uuid not null,
  investigation_id uuid not null,
  content text not null check (length(content) <= 50000),
  note_type text not null default 'GENERAL' check (note_type in ('GENERAL', 'INTERVIEW', 'EVIDENCE', 'FINDING',
    'RECOMMENDATION', 'FOLLOW_UP')),
  visibility text not null default 'TEAM' check (visibility in ('PRIVATE', 'TEAM', 'ALL')),
  author_id uuid not null,
  author_name text not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (organization_id, id),
  foreign key (organization_id, investigation_id) references investigations (organization_id, id)
    on delete cascade,
  foreign key (organization_id, author_id) references users (organization_id, id)
);
create index investigation_notes_by_investigation
  on investigation_notes (organization_id, investigation_id, created_at, id);

create table riu_case_associations (
  organization_id uuid not null references organizations (id),
  id uuid not null,
  riu_id uuid not null,
  case_id uuid not null,
  association_type text not null default 'RELATED' check (association_type in ('PRIMARY', 'RELATED',
    'MERGED_FROM')),
  notes text,
  created_at timestamptz not null,
  created_by_id uuid not null,
  primary key (organization_id, id),
  unique (organization_id, case_id, riu_id),
  foreign key (organization_id, riu_id) references rius (organization_id, id) on delete cascade,
  foreign key (organization_id, case_id) references cases (organization_id, id) on delete cascade,
  foreign key (organization_id, created_by_id) references users (organization_id, id)
);
create index riu_case_associations_by_case on riu_case_associations (organization_id, case_id, created_at, id);
create index riu_case_associations_by_riu on riu_case_associations (organization_id, riu_id, created_at, id);

-- Audit entries refer to records that may be gone, so their entity columns are no foreign keys.
create table audit_logs (
  organization_id uuid not null references organizations (id),
  id uuid not null,
  entity_type text not null check (entity_type in ('case', 'riu', 'investigation', 'subject', 'message', 'note',
    'association')),
  entity_id uuid not null,
  -- The case that the entity hangs on, itself for a case, null for a RIU: what `/cases/{id}/activity` selects by.
  case_id uuid,
  action text not null,
  action_description text not null,
  actor_user_id uuid not null,
  actor_name text not null,
  -- {"field": {"old": …, "new": …}} for an edit.
  changes jsonb,
  created_at timestamptz not null,
  primary key (organization_id, id),
  foreign key (organization_id, actor_user_id) references users (organization_id, id)
);
create index audit_logs_by_case on audit_logs (organization_id, case_id, created_at, id);
create index audit_logs_by_entity on audit_logs (organization_id, entity_type, entity_id, created_at, id);
