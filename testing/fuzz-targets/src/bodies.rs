//! Bodies of records and parameters of lists.

use demo_reset_compliance::{
    AssociationContent, CaseContent, Content, InvestigationContent, MessageContent, New, NoteContent, Object,
    Patch, RiuContent, SubjectContent,
};
use serde_json::Value;

/// Any JSON object is accepted or refused with the fields that are wrong; what is accepted is of the server's making
/// in no field.
pub fn bodies(bytes: &[u8]) {
    let Ok(Value::Object(input)) = serde_json::from_slice(bytes) else { return };
    record::<CaseContent>(&input);
    record::<RiuContent>(&input);
    record::<InvestigationContent>(&input);
    record::<SubjectContent>(&input);
    record::<MessageContent>(&input);
    record::<NoteContent>(&input);
    record::<AssociationContent>(&input);
    let parameters: Vec<(String, String)> = input
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    if let Ok(query) = demo_reset_compliance::Case::LIST.parse(&parameters) {
        assert!((1..=demo_reset_compliance::MAX_LIMIT).contains(&query.limit), "{}", query.limit);
    }
}

fn record<C: Content>(input: &Object) {
    let created = New::<C>::parse(input);
    let edited = Patch::<C>::parse(input);
    let unknown = input.keys().any(|name| C::FIELDS.iter().all(|field| field.name != *name));
    assert!(!unknown || (created.is_err() && edited.is_err()), "an unknown field was accepted");
}
