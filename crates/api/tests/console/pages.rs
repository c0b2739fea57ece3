//! What holds of every page: the rules of accessibility, and that it fits the screen.

use crate::browser::{Browser, is_there};
use crate::server::Server;
use crate::stories::{CASE, edit_case, reset};

/// Goes through the pages, and through what stands over them, as Ann with one change; `check` looks at each.
async fn tour(browser: &Browser, mut check: impl AsyncFnMut(&Browser, &str)) {
    browser.see("Acme").await;
    check(browser, "sign-in").await;
    browser.sign_in("Ann Archer").await;
    check(browser, "cases").await;
    browser.go(CASE).await;
    edit_case(browser, "The safe was open all night", "CRITICAL").await;
    check(browser, "case").await;
    browser.click("Edit").await;
    browser.see("Only you will see this").await;
    check(browser, "form").await;
    browser.click("Cancel").await;
    for tab in ["subjects", "messages", "investigations", "reports", "activity"] {
        browser.go(&format!("{CASE}/{tab}")).await;
        browser.count(".tab-panel .card, .timeline li", 1).await;
        check(browser, tab).await;
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
        check(browser, path).await;
    }
    reset(browser, "1 change").await;
    check(browser, "result").await;
    browser.go(CASE).await;
    edit_case(browser, "Second thoughts", "LOW").await;
    browser.click("Undo").await;
    browser.see("One change stands in the way").await;
    check(browser, "conflict").await;
}

#[actix_web::test]
async fn no_page_violates_a_rule_of_accessibility_in_light_or_dark() {
    if !is_there() {
        return;
    }
    let server = Server::start();
    let browser = Browser::open(&server).await;
    let mut found = Vec::new();
    tour(&browser, async |browser, page| {
        for theme in ["light", "dark"] {
            browser.theme(theme).await;
            let violations = browser.violations().await;
            found.extend(violations.into_iter().map(|violation| format!("{page}, {theme}: {violation}")));
        }
    })
    .await;
    assert_eq!(found, Vec::<String>::new(), "{found:#?}");
    browser.close().await;
}

/// Every page at once on a screen of this size: nothing is wider than it, and everything can be hit with a finger.
async fn every_page_fits(width: u32, height: u32) {
    if !is_there() {
        return;
    }
    let server = Server::start();
    let browser = Browser::touched(&server, (width, height)).await;
    let mut found = Vec::new();
    tour(&browser, async |browser, page| {
        found.extend(browser.misfits().await.into_iter().map(|misfit| format!("{page}: {misfit}")));
    })
    .await;
    assert_eq!(found, Vec::<String>::new(), "{found:#?}");
    browser.close().await;
}

#[actix_web::test]
async fn every_page_fits_a_tablet_upright() {
    every_page_fits(820, 1180).await;
}

#[actix_web::test]
async fn every_page_fits_a_tablet_on_its_side() {
    every_page_fits(1180, 820).await;
}

#[actix_web::test]
async fn every_page_fits_a_phone() {
    every_page_fits(390, 844).await;
}
