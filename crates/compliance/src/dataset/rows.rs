//! One struct per table, with the columns of the table and nothing else, and a batch of them.
//!
//! The same structs are inserted into SQLite and copied into PostgreSQL.

use demo_reset_persistence::types::{DbJson, DbTime, DbUuid};
use diesel::Insertable;

use crate::schema;

macro_rules! rows {
    ($($(#[$doc:meta])* $table:ident: $row:ident { $($column:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            ///
            /// The fields are the columns of the table.
            #[allow(missing_docs)]
            #[derive(Debug, Clone, PartialEq, Insertable)]
            #[diesel(table_name = schema::$table, treat_none_as_default_value = false)]
            pub struct $row {
                $(pub $column: $type,)*
            }
        )*

        /// Rows of every table, in the order in which foreign keys allow them to be written.
        ///
        /// Rows in one batch refer only to rows of the same batch or of earlier ones.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Batch {
            $(
                $(#[$doc])*
                pub $table: Vec<$row>,
            )*
        }

        impl Batch {
            /// The tables, parents first.
            pub const TABLES: &'static [&'static str] = &[$(stringify!($table),)*];

            /// Rows of each table, in the order of [`Batch::TABLES`].
            pub fn counts(&self) -> Vec<usize> {
                vec![$(self.$table.len(),)*]
            }

            /// Rows in all.
            pub fn len(&self) -> usize {
                0 $(+ self.$table.len())*
            }

            /// Whether there is no row at all.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Forgets the rows and keeps the memory for the next ones.
            pub fn clear(&mut self) {
                $(self.$table.clear();)*
            }

            /// Moves all rows of `other` to the end of this batch.
            pub fn append(&mut self, other: &mut Self) {
                $(self.$table.append(&mut other.$table);)*
            }
        }
    };
}

/// Calls `$call!(table, rows)` for every table of a batch, parents first.
macro_rules! with_tables {
    ($call:ident, $batch:expr) => {
        $call!(organizations, $batch.organizations);
        $call!(users, $batch.users);
        $call!(categories, $batch.categories);
        $call!(locations, $batch.locations);
        $call!(employees, $batch.employees);
        $call!(rius, $batch.rius);
        $call!(cases, $batch.cases);
        $call!(investigations, $batch.investigations);
        $call!(subjects, $batch.subjects);
        $call!(case_messages, $batch.case_messages);
        $call!(investigation_notes, $batch.investigation_notes);
        $call!(riu_case_associations, $batch.riu_case_associations);
        $call!(audit_logs, $batch.audit_logs);
    };
}
pub(crate) use with_tables;

rows! {
    /// Organizations.
    organizations: OrganizationRow {
        id: DbUuid,
        slug: String,
        name: String,
        created_at: DbTime,
    }
    /// People who can sign in.
    users: UserRow {
        organization_id: DbUuid,
        id: DbUuid,
        email: String,
        first_name: String,
        last_name: String,
        role: String,
        created_at: DbTime,
    }
    /// Categories of reports.
    categories: CategoryRow {
        organization_id: DbUuid,
        id: DbUuid,
        code: String,
        name: String,
        category_group: String,
        severity: String,
        sla_days: i32,
        created_at: DbTime,
    }
    /// Places of work.
    locations: LocationRow {
        organization_id: DbUuid,
        id: DbUuid,
        code: String,
        name: String,
        city: String,
        country: String,
        region: String,
        time_zone: String,
        created_at: DbTime,
    }
    /// Employees, managers before their reports.
    employees: EmployeeRow {
        organization_id: DbUuid,
        id: DbUuid,
        employee_number: String,
        first_name: String,
        last_name: String,
        email: String,
        job_title: String,
        division: String,
        department: String,
        location_id: DbUuid,
        manager_id: Option<DbUuid>,
        hired_at: DbTime,
        created_at: DbTime,
    }
    /// Risk intelligence units: the reports as they came in.
    rius: RiuRow {
        organization_id: DbUuid,
        id: DbUuid,
        reference_number: String,
        riu_type: &'static str,
        source_channel: &'static str,
        details: String,
        summary: Option<String>,
        status: &'static str,
        severity: &'static str,
        reporter_type: &'static str,
        reporter_name: Option<String>,
        reporter_email: Option<String>,
        reporter_phone: Option<String>,
        category_id: Option<DbUuid>,
        location_id: Option<DbUuid>,
        ai_summary: Option<String>,
        risk_score: Option<i32>,
        created_at: DbTime,
        created_by_id: DbUuid,
    }
    /// Cases.
    cases: CaseRow {
        organization_id: DbUuid,
        id: DbUuid,
        reference_number: String,
        details: String,
        summary: Option<String>,
        status: &'static str,
        severity: &'static str,
        case_type: &'static str,
        source_channel: &'static str,
        reporter_type: &'static str,
        reporter_name: Option<String>,
        reporter_email: Option<String>,
        reporter_phone: Option<String>,
        category_id: Option<DbUuid>,
        location_id: Option<DbUuid>,
        outcome: Option<&'static str>,
        outcome_notes: Option<String>,
        tags: DbJson,
        ai_summary: Option<String>,
        risk_score: Option<i32>,
        sla_due_at: Option<DbTime>,
        closed_at: Option<DbTime>,
        created_at: DbTime,
        updated_at: DbTime,
        created_by_id: DbUuid,
        updated_by_id: DbUuid,
    }
    /// Investigations of cases.
    investigations: InvestigationRow {
        organization_id: DbUuid,
        id: DbUuid,
        case_id: DbUuid,
        investigation_number: i32,
        investigation_type: &'static str,
        department: Option<&'static str>,
        status: &'static str,
        sla_status: &'static str,
        primary_investigator_id: Option<DbUuid>,
        due_date: Option<DbTime>,
        findings_summary: Option<String>,
        findings_detail: Option<String>,
        outcome: Option<&'static str>,
        root_cause: Option<String>,
        lessons_learned: Option<String>,
        closed_at: Option<DbTime>,
        created_at: DbTime,
        updated_at: DbTime,
        created_by_id: DbUuid,
        updated_by_id: DbUuid,
    }
    /// People whom cases are about.
    subjects: SubjectRow {
        organization_id: DbUuid,
        id: DbUuid,
        case_id: DbUuid,
        name: String,
        role: &'static str,
        employee_id: Option<DbUuid>,
        relationship: Option<String>,
        department: Option<String>,
        location: Option<String>,
        job_title: Option<String>,
        manager_name: Option<String>,
        notes: Option<String>,
        created_at: DbTime,
        updated_at: DbTime,
        created_by_id: DbUuid,
    }
    /// Messages between reporters and investigators.
    case_messages: MessageRow {
        organization_id: DbUuid,
        id: DbUuid,
        case_id: DbUuid,
        direction: &'static str,
        sender_type: &'static str,
        subject: Option<String>,
        content: String,
        is_read: bool,
        read_at: Option<DbTime>,
        created_at: DbTime,
        created_by_id: Option<DbUuid>,
    }
    /// Notes of investigators.
    investigation_notes: NoteRow {
        organization_id: DbUuid,
        id: DbUuid,
        investigation_id: DbUuid,
        content: String,
        note_type: &'static str,
        visibility: &'static str,
        author_id: DbUuid,
        author_name: String,
        created_at: DbTime,
        updated_at: DbTime,
    }
    /// Which reports belong to which cases.
    riu_case_associations: AssociationRow {
        organization_id: DbUuid,
        id: DbUuid,
        riu_id: DbUuid,
        case_id: DbUuid,
        association_type: &'static str,
        notes: Option<String>,
        created_at: DbTime,
        created_by_id: DbUuid,
    }
    /// Who did what and when.
    audit_logs: AuditRow {
        organization_id: DbUuid,
        id: DbUuid,
        entity_type: &'static str,
        entity_id: DbUuid,
        case_id: Option<DbUuid>,
        action: &'static str,
        action_description: String,
        actor_user_id: DbUuid,
        actor_name: String,
        changes: Option<DbJson>,
        created_at: DbTime,
    }
}
