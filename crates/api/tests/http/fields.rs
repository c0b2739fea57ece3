//! The fields of every record, in the notation in which they were agreed upon: `!` is required on create, `?` may be
//! null, `=` has a default. What the server fills has none of these.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::document::DOCUMENT;

const COMMON: &str = "id createdAt isBaseData demoUserSessionId? changeKind?";

const RECORDS: &[(&str, &str)] = &[
    (
        "Case",
        "referenceNumber details! summary? status=NEW severity=MEDIUM caseType=REPORT sourceChannel=DIRECT_ENTRY \
         reporterType=ANONYMOUS reporterName? reporterEmail? reporterPhone? categoryId? locationId? outcome? \
         outcomeNotes? tags=[] aiSummary? riskScore? slaDueAt? closedAt? updatedAt createdById updatedById",
    ),
    (
        "Riu",
        "referenceNumber details! type! sourceChannel! summary? status=RECEIVED severity=MEDIUM \
         reporterType=ANONYMOUS reporterName? reporterEmail? reporterPhone? categoryId? locationId? aiSummary? \
         riskScore? createdById",
    ),
    (
        "Investigation",
        "caseId! investigationNumber investigationType=FULL department? status=NEW slaStatus=ON_TRACK \
         primaryInvestigatorId? dueDate? findingsSummary? findingsDetail? outcome? rootCause? lessonsLearned? \
         closedAt? updatedAt createdById updatedById",
    ),
    (
        "Subject",
        "caseId! name! role! employeeId? relationship? department? location? jobTitle? managerName? notes? \
         updatedAt createdById",
    ),
    (
        "Message",
        "caseId! direction! content! subject? senderType=INVESTIGATOR isRead=false readAt? createdById?",
    ),
    ("Note", "investigationId! content! noteType=GENERAL visibility=TEAM authorId authorName updatedAt"),
    ("Association", "caseId! riuId! associationType=RELATED notes? createdById"),
];

const WORDS: &[(&str, &str, &str)] = &[
    ("Case", "status", "NEW OPEN CLOSED"),
    ("Case", "severity", "LOW MEDIUM HIGH CRITICAL"),
    ("Case", "caseType", "REPORT RFI"),
    ("Case", "sourceChannel", "HOTLINE WEB_FORM PROXY DIRECT_ENTRY CHATBOT"),
    ("Case", "reporterType", "ANONYMOUS IDENTIFIED PROXY"),
    ("Case", "outcome", "SUBSTANTIATED UNSUBSTANTIATED INCONCLUSIVE POLICY_VIOLATION NO_VIOLATION"),
    (
        "Riu",
        "type",
        "HOTLINE_REPORT WEB_FORM_SUBMISSION DISCLOSURE_RESPONSE ATTESTATION_RESPONSE CHATBOT_TRANSCRIPT \
         INCIDENT_FORM PROXY_REPORT SURVEY_RESPONSE",
    ),
    ("Riu", "sourceChannel", "PHONE WEB_FORM CHATBOT EMAIL PROXY DIRECT_ENTRY CAMPAIGN"),
    ("Riu", "reporterType", "ANONYMOUS CONFIDENTIAL IDENTIFIED"),
    ("Riu", "status", "PENDING_QA IN_QA QA_REJECTED RELEASED LINKED CLOSED RECEIVED COMPLETED"),
    ("Riu", "severity", "LOW MEDIUM HIGH CRITICAL"),
    ("Investigation", "investigationType", "FULL LIMITED INQUIRY"),
    ("Investigation", "status", "NEW ASSIGNED INVESTIGATING PENDING_REVIEW CLOSED ON_HOLD"),
    ("Investigation", "department", "HR LEGAL SAFETY COMPLIANCE OTHER"),
    ("Investigation", "slaStatus", "ON_TRACK WARNING OVERDUE"),
    (
        "Investigation",
        "outcome",
        "SUBSTANTIATED UNSUBSTANTIATED INCONCLUSIVE POLICY_VIOLATION NO_VIOLATION INSUFFICIENT_EVIDENCE",
    ),
    ("Subject", "role", "REPORTER ACCUSED WITNESS VICTIM OTHER"),
    ("Message", "direction", "INBOUND OUTBOUND"),
    ("Message", "senderType", "REPORTER INVESTIGATOR SYSTEM"),
    ("Note", "noteType", "GENERAL INTERVIEW EVIDENCE FINDING RECOMMENDATION FOLLOW_UP"),
    ("Note", "visibility", "PRIVATE TEAM ALL"),
    ("Association", "associationType", "PRIMARY RELATED MERGED_FROM"),
];

fn schema(name: &str) -> &'static Value {
    &DOCUMENT["components"]["schemas"][name]
}

/// A field in the notation, from the schemas of what is answered and of what is given.
fn notation(name: &str, answered: &Value, new: &Value) -> String {
    let given = &new["properties"][name];
    let is_required = new["required"].as_array().unwrap().iter().any(|required| required == name);
    let is_nullable = answered["type"].as_array().is_some_and(|types| types.contains(&"null".into()));
    match given.get("default") {
        _ if is_required => format!("{name}!"),
        _ if is_nullable => format!("{name}?"),
        Some(Value::String(word)) => format!("{name}={word}"),
        Some(default) => format!("{name}={default}"),
        None => name.to_owned(),
    }
}

#[test]
fn records_have_the_fields_that_were_agreed_upon() {
    for (record, agreed) in RECORDS {
        let new = schema(&format!("New{record}"));
        let documented: BTreeSet<String> = schema(record)["properties"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, answered)| notation(name, answered, new))
            .collect();
        let agreed: BTreeSet<String> =
            agreed.split_whitespace().chain(COMMON.split(' ')).map(str::to_owned).collect();
        assert_eq!(documented, agreed, "{record}");
    }
}

#[test]
fn words_are_those_that_were_agreed_upon() {
    let mut enumerations = 0;
    for (record, field, agreed) in WORDS {
        let words = schema(record)["properties"][field]["enum"].as_array().unwrap();
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        assert_eq!(words, agreed.split(' ').collect::<Vec<_>>(), "{record} {field}");
        enumerations += 1;
    }
    let of_record = |(record, _): &(&str, &str)| {
        let fields = schema(record)["properties"].as_object().unwrap().iter();
        fields.filter(|(name, field)| field["enum"].is_array() && *name != "changeKind").count()
    };
    assert_eq!(
        enumerations,
        RECORDS.iter().map(of_record).sum::<usize>(),
        "no other field is one of some words"
    );
}
