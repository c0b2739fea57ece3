use crate::browser::{Browser, is_there};
use crate::server::Server;
use crate::stories::{CASE, edit_case, reset};

/// Checks the page as it is, in both themes.
async fn check(browser: &Browser, page: &str, found: &mut Vec<String>) {
    for theme in ["light", "dark"] {
        browser.theme(theme).await;
        let violations = browser.violations().await;
        found.extend(violations.into_iter().map(|violation| format!("{page}, {theme}: {violation}")));
    }
}

#[actix_web::test]
async fn no_page_violates_a_rule_of_accessibility_in_light_or_dark() {
    if !is_there() {
        return;
    }
    let server = Server::start();
    let browser = Browser::open(&server).await;
    let mut found = Vec::new();
    browser.see("Acme").await;
    check(&browser, "sign-in", &mut found).await;
    browser.sign_in("Ann Archer").await;
    check(&browser, "cases", &mut found).await;
    browser.go(CASE).await;
    edit_case(&browser, "The safe was open all night", "CRITICAL").await;
    check(&browser, "case", &mut found).await;
    browser.click("Edit").await;
    browser.see("Only you will see this").await;
    check(&browser, "form", &mut found).await;
    browser.click("Cancel").await;
    for tab in ["subjects", "messages", "investigations", "reports", "activity"] {
        browser.go(&format!("{CASE}/{tab}")).await;
        browser.count(".tab-panel .card, .timeline li", 1).await;
        check(&browser, tab, &mut found).await;
    }
    for (path, sign) in [
        ("/changes", "What is yours alone"),
        ("/reset", "1 change would go"),
        ("/proof", "The base data is intact"),
        ("/admin", "Changes per session"),
        ("/side-by-side", "Show the same page in both"),
    ] {
        browser.go(path).await;
        browser.see(sign).await;
        if path == "/side-by-side" {
            browser.count(".side-right .rows .row", 3).await;
        }
        check(&browser, path, &mut found).await;
    }
    reset(&browser, "1 change").await;
    check(&browser, "result", &mut found).await;
    browser.go(CASE).await;
    edit_case(&browser, "Second thoughts", "LOW").await;
    browser.click("Undo").await;
    browser.see("One change stands in the way").await;
    check(&browser, "conflict", &mut found).await;
    assert_eq!(found, Vec::<String>::new(), "{found:#?}");
    browser.close().await;
}
