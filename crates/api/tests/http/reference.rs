use serde_json::{Value, json};

use crate::fixture::{ANN, Backend, GIL, Server, on_each_database};

on_each_database! {
    reference_data_is_that_of_the_organization,
    employees_are_found_by_the_beginnings_of_words,
    reference_data_is_read_only,
}

fn names(page: &Value, field: &str) -> Vec<String> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
}

async fn reference_data_is_that_of_the_organization(backend: Backend) {
    let server = Server::on(backend).await;
    let (ann, gil) = (server.sign_in(ANN).await, server.sign_in(GIL).await);
    let categories = ann.get("/categories").await.expect(200);
    let fraud = json!({
        "id": "00000000-0000-7000-8000-0000000000c1",
        "code": "FRAUD",
        "name": "Fraud",
        "group": "Fraud",
        "severity": "HIGH",
        "slaDays": 30,
        "createdAt": "2023-01-01T00:00:00.000000Z",
    });
    assert_eq!(categories, json!({ "items": [fraud], "nextCursor": null, "total": 1 }));
    assert_eq!(names(&ann.get("/locations").await.expect(200), "timeZone"), ["Europe/Berlin"]);
    assert_eq!(names(&ann.get("/users").await.expect(200), "firstName"), ["Ann", "Ben"]);
    assert_eq!(names(&gil.get("/users").await.expect(200), "firstName"), ["Gil"]);
    assert_eq!(gil.total("/locations").await, 0);
}

async fn employees_are_found_by_the_beginnings_of_words(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    let found = async |q: &str| {
        let page = ann.get(&format!("/employees?q={q}")).await.expect(200);
        assert_eq!(page["total"], page["items"].as_array().unwrap().len());
        names(&page, "employeeNumber")
    };
    assert_eq!(names(&ann.get("/employees").await.expect(200), "employeeNumber"), ["E2", "E1"]);
    assert_eq!(found("YOU").await, ["E1"]);
    assert_eq!(found("zoe%20young").await, ["E1"]);
    assert_eq!(found("zoe%20max").await, Vec::<String>::new());
    assert_eq!(found("oung").await, Vec::<String>::new());
    assert_eq!(found("100").await, ["E2"]);
    assert_eq!(found("100%25").await, ["E2"]);
    assert_eq!(found("acme").await, ["E2", "E1"]);
    assert_eq!(found("e1").await, ["E1"]);
}

async fn reference_data_is_read_only(backend: Backend) {
    let ann = Server::on(backend).await.sign_in(ANN).await;
    for path in ["/categories", "/locations", "/employees", "/users"] {
        let refused = ann.post(path, json!({})).await;
        assert_eq!(refused.problem(405), "method_not_allowed");
        assert_eq!(refused.header("allow"), "GET, HEAD");
    }
}
