//! The demo's tables as Diesel sees them, the same on both databases.
//!
//! The tables that sessions write end with the three tracking columns of their views.

diesel::table! {
    use demo_reset_persistence::types::sql::{UtcTime, Uuid};
    use diesel::sql_types::Text;

    organizations (id) {
        id -> Uuid,
        slug -> Text,
        name -> Text,
        created_at -> UtcTime,
    }
}

diesel::table! {
    use demo_reset_persistence::types::sql::{UtcTime, Uuid};
    use diesel::sql_types::Text;

    users (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        email -> Text,
        first_name -> Text,
        last_name -> Text,
        role -> Text,
        created_at -> UtcTime,
    }
}

diesel::table! {
    use demo_reset_persistence::types::sql::{UtcTime, Uuid};
    use diesel::sql_types::{Integer, Text};

    categories (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        code -> Text,
        name -> Text,
        category_group -> Text,
        severity -> Text,
        sla_days -> Integer,
        created_at -> UtcTime,
    }
}

diesel::table! {
    use demo_reset_persistence::types::sql::{UtcTime, Uuid};
    use diesel::sql_types::Text;

    locations (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        code -> Text,
        name -> Text,
        city -> Text,
        country -> Text,
        region -> Text,
        time_zone -> Text,
        created_at -> UtcTime,
    }
}

diesel::table! {
    use demo_reset_persistence::types::sql::{UtcTime, Uuid};
    use diesel::sql_types::{Nullable, Text};

    employees (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        employee_number -> Text,
        first_name -> Text,
        last_name -> Text,
        email -> Text,
        job_title -> Text,
        division -> Text,
        department -> Text,
        location_id -> Uuid,
        manager_id -> Nullable<Uuid>,
        hired_at -> UtcTime,
        created_at -> UtcTime,
    }
}

diesel::table! {
    use demo_reset_persistence::types::sql::{UtcTime, Uuid};
    use diesel::sql_types::{Bool, Integer, Nullable, Text};

    rius (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        reference_number -> Text,
        riu_type -> Text,
        source_channel -> Text,
        details -> Text,
        summary -> Nullable<Text>,
        status -> Text,
        severity -> Text,
        reporter_type -> Text,
        reporter_name -> Nullable<Text>,
        reporter_email -> Nullable<Text>,
        reporter_phone -> Nullable<Text>,
        category_id -> Nullable<Uuid>,
        location_id -> Nullable<Uuid>,
        ai_summary -> Nullable<Text>,
        risk_score -> Nullable<Integer>,
        created_at -> UtcTime,
        created_by_id -> Uuid,
        demo_user_session_id -> Nullable<Uuid>,
        is_base_data -> Bool,
        change_kind -> Nullable<Text>,
    }
}

diesel::table! {
    use demo_reset_persistence::types::sql::{Json, UtcTime, Uuid};
    use diesel::sql_types::{Bool, Integer, Nullable, Text};

    cases (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        reference_number -> Text,
        details -> Text,
        summary -> Nullable<Text>,
        status -> Text,
        severity -> Text,
        case_type -> Text,
        source_channel -> Text,
        reporter_type -> Text,
        reporter_name -> Nullable<Text>,
        reporter_email -> Nullable<Text>,
        reporter_phone -> Nullable<Text>,
        category_id -> Nullable<Uuid>,
        location_id -> Nullable<Uuid>,
        outcome -> Nullable<Text>,
        outcome_notes -> Nullable<Text>,
        tags -> Json,
        ai_summary -> Nullable<Text>,
        risk_score -> Nullable<Integer>,
        sla_due_at -> Nullable<UtcTime>,
        closed_at -> Nullable<UtcTime>,
        created_at -> UtcTime,
        updated_at -> UtcTime,
        created_by_id -> Uuid,
        updated_by_id -> Uuid,
        demo_user_session_id -> Nullable<Uuid>,
        is_base_data -> Bool,
        change_kind -> Nullable<Text>,
    }
}

diesel::table! {
    use demo_reset_persistence::types::sql::{UtcTime, Uuid};
    use diesel::sql_types::{Bool, Integer, Nullable, Text};

    investigations (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        case_id -> Uuid,
        investigation_number -> Integer,
        investigation_type -> Text,
        department -> Nullable<Text>,
        status -> Text,
        sla_status -> Text,
        primary_investigator_id -> Nullable<Uuid>,
        due_date -> Nullable<UtcTime>,
        findings_summary -> Nullable<Text>,
        findings_detail -> Nullable<Text>,
        outcome -> Nullable<Text>,
        root_cause -> Nullable<Text>,
        lessons_learned -> Nullable<Text>,
        closed_at -> Nullable<UtcTime>,
        created_at -> UtcTime,
        updated_at -> UtcTime,
        created_by_id -> Uuid,
        updated_by_id -> Uuid,
        demo_user_session_id -> Nullable<Uuid>,
        is_base_data -> Bool,
        change_kind -> Nullable<Text>,
    }
}

diesel::table! {
    use demo_reset_persistence::types::sql::{UtcTime, Uuid};
    use diesel::sql_types::{Bool, Nullable, Text};

    subjects (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        case_id -> Uuid,
        name -> Text,
        role -> Text,
        employee_id -> Nullable<Uuid>,
        relationship -> Nullable<Text>,
        department -> Nullable<Text>,
        location -> Nullable<Text>,
        job_title -> Nullable<Text>,
        manager_name -> Nullable<Text>,
        notes -> Nullable<Text>,
        created_at -> UtcTime,
        updated_at -> UtcTime,
        created_by_id -> Uuid,
        demo_user_session_id -> Nullable<Uuid>,
        is_base_data -> Bool,
        change_kind -> Nullable<Text>,
    }
}

diesel::table! {
    use demo_reset_persistence::types::sql::{UtcTime, Uuid};
    use diesel::sql_types::{Bool, Nullable, Text};

    case_messages (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        case_id -> Uuid,
        direction -> Text,
        sender_type -> Text,
        subject -> Nullable<Text>,
        content -> Text,
        is_read -> Bool,
        read_at -> Nullable<UtcTime>,
        created_at -> UtcTime,
        created_by_id -> Nullable<Uuid>,
        demo_user_session_id -> Nullable<Uuid>,
        is_base_data -> Bool,
        change_kind -> Nullable<Text>,
    }
}

diesel::table! {
    use demo_reset_persistence::types::sql::{UtcTime, Uuid};
    use diesel::sql_types::{Bool, Nullable, Text};

    investigation_notes (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        investigation_id -> Uuid,
        content -> Text,
        note_type -> Text,
        visibility -> Text,
        author_id -> Uuid,
        author_name -> Text,
        created_at -> UtcTime,
        updated_at -> UtcTime,
        demo_user_session_id -> Nullable<Uuid>,
        is_base_data -> Bool,
        change_kind -> Nullable<Text>,
    }
}

diesel::table! {
    use demo_reset_persistence::types::sql::{UtcTime, Uuid};
    use diesel::sql_types::{Bool, Nullable, Text};

    riu_case_associations (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        riu_id -> Uuid,
        case_id -> Uuid,
        association_type -> Text,
        notes -> Nullable<Text>,
        created_at -> UtcTime,
        created_by_id -> Uuid,
        demo_user_session_id -> Nullable<Uuid>,
        is_base_data -> Bool,
        change_kind -> Nullable<Text>,
    }
}

diesel::table! {
    use demo_reset_persistence::types::sql::{Json, UtcTime, Uuid};
    use diesel::sql_types::{Bool, Nullable, Text};

    audit_logs (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        entity_type -> Text,
        entity_id -> Uuid,
        case_id -> Nullable<Uuid>,
        action -> Text,
        action_description -> Text,
        actor_user_id -> Uuid,
        actor_name -> Text,
        changes -> Nullable<Json>,
        created_at -> UtcTime,
        demo_user_session_id -> Nullable<Uuid>,
        is_base_data -> Bool,
        change_kind -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    organizations,
    users,
    categories,
    locations,
    employees,
    rius,
    cases,
    investigations,
    subjects,
    case_messages,
    investigation_notes,
    riu_case_associations,
    audit_logs,
);
