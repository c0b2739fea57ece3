use chrono::Duration;
use serde_json::json;

use crate::browser::{Browser, is_there};
use crate::server::Server;

/// `Cash is missing.`, of high severity.
pub const CASE: &str = "/cases/00000000-0000-7000-8000-000000000201";
const RESET_DONE: &str = "Your world is the base data again.";

/// Edits the case on the page that shows it.
pub async fn edit_case(browser: &Browser, summary: &str, severity: &str) {
    browser.click("Edit").await;
    browser.fill("Summary", summary).await;
    browser.fill("Severity", severity).await;
    browser.click("Save").await;
    browser.see(summary).await;
}

/// Resets everything, on the page of resets.
pub async fn reset(browser: &Browser, changes: &str) {
    browser.go("/reset").await;
    browser.click("Reset my world").await;
    browser.click(&format!("Yes, take back {changes}")).await;
    browser.see(RESET_DONE).await;
}

#[actix_web::test]
async fn signing_in_shows_the_cases_and_survives_a_reload_until_one_signs_out() {
    if !is_there() {
        return;
    }
    let server = Server::start();
    let browser = Browser::open(&server).await;
    browser.see("Acme").await;
    browser.sign_in("Ben Baker").await;
    browser.see("1,003 cases").await;
    browser.see_no("Administration").await;
    browser.reload().await;
    browser.see("Ben Baker").await;
    browser.see("1,003 cases").await;
    browser.click("Sign out").await;
    browser.see("Who do you want to be?").await;
    browser.reload().await;
    browser.see("Who do you want to be?").await;
    browser.close().await;
}

#[actix_web::test]
async fn a_wrong_password_is_told() {
    if !is_there() {
        return;
    }
    let server = Server::start();
    let browser = Browser::open(&server).await;
    browser.fill("E-mail", crate::server::ANN).await;
    browser.fill("Password", "guess").await;
    browser.click("Sign in").await;
    browser.see("do not go together").await;
    browser.close().await;
}

#[actix_web::test]
async fn the_list_of_cases_filters_and_goes_on_while_one_scrolls() {
    if !is_there() {
        return;
    }
    let server = Server::start();
    let browser = Browser::open(&server).await;
    browser.sign_in("Ann Archer").await;
    browser.count("main .rows .row", 50).await;
    browser.run("window.scrollTo(0, document.body.scrollHeight)", Vec::new()).await;
    browser.count("main .rows .row", 100).await;
    browser.fill("Severity", "HIGH").await;
    browser.see("1 case found").await;
    browser.see("Cash is missing.").await;
    browser.reload().await;
    browser.see("1 case found").await;
    browser.click("Clear").await;
    browser.see("1,003 cases").await;
    browser.close().await;
}

#[actix_web::test]
async fn the_list_goes_on_to_the_very_last_case_and_holds_only_what_is_near() {
    if !is_there() {
        return;
    }
    let server = Server::start();
    let browser = Browser::open(&server).await;
    browser.sign_in("Ann Archer").await;
    let last = "CASE-2025-01000";
    browser.scroll_to(last).await;
    let rows = browser.run("return document.querySelectorAll('main .rows .row').length", Vec::new()).await;
    assert!((50..400).contains(&rows.as_u64().unwrap()), "{rows} rows of 1,003 are in the page");
    let open = "[...document.querySelectorAll('main .row')].at(-1).click()";
    browser.run(open, Vec::new()).await;
    browser.click("‹ All cases").await;
    browser.see(last).await;
    browser.run("window.scrollTo(0, 0)", Vec::new()).await;
    browser.see("CASE-2026-00001").await;
    browser.see_no(last).await;
    browser.close().await;
}

#[actix_web::test]
async fn base_values_are_shown_however_much_was_changed_since() {
    if !is_there() {
        return;
    }
    let server = Server::start();
    let browser = Browser::open(&server).await;
    browser.sign_in("Ann Archer").await;
    browser.go(&format!("{CASE}/messages")).await;
    browser.click("Delete this message").await;
    browser.see("Only in your world").await;
    browser.click("Delete").await;
    browser.see("Bring back").await;
    browser.go(CASE).await;
    edit_case(&browser, "The safe was open all night", "CRITICAL").await;
    server.change_much();
    browser.reload().await;
    browser.see("1002 changes").await;
    browser.see("Base: High").await;
    browser.go(&format!("{CASE}/messages")).await;
    browser.click("Bring back").await;
    browser.see_no("Deleted").await;
    browser.close().await;
}

#[actix_web::test]
async fn what_one_person_edits_resets_and_undoes_another_never_sees() {
    if !is_there() {
        return;
    }
    let server = Server::start();
    let (ann, ben) = (Browser::open(&server).await, Browser::open(&server).await);
    ann.sign_in("Ann Archer").await;
    ben.sign_in("Ben Baker").await;
    ann.go(CASE).await;
    ben.go(CASE).await;
    ann.see("Cash is missing.").await;

    edit_case(&ann, "The safe was open all night", "CRITICAL").await;
    ann.see("Edited").await;
    ben.reload().await;
    ben.see("Cash is missing.").await;
    ben.see_no("The safe was open").await;

    reset(&ann, "1 change").await;
    ann.see("Base data intact").await;
    ann.see("Your changes are gone").await;
    ann.see("23:59:").await;
    ann.go(CASE).await;
    ann.see_no("The safe was open").await;

    ann.click("Undo").await;
    ann.see("The safe was open all night").await;
    ann.see("Critical").await;
    ben.reload().await;
    ben.see("Cash is missing.").await;
    ben.see_no("The safe was open").await;
    ann.close().await;
    ben.close().await;
}

#[actix_web::test]
async fn a_case_is_created_with_all_that_hangs_on_it_and_deleted_again() {
    if !is_there() {
        return;
    }
    let server = Server::start();
    let browser = Browser::open(&server).await;
    browser.sign_in("Ben Baker").await;
    browser.click("New case").await;
    browser.click("Create").await;
    browser.count("[aria-invalid]", 1).await;
    browser.fill("Details", "A caller reports missing stock.").await;
    browser.click("Create").await;
    browser.see("A caller reports missing stock.").await;
    browser.see("Created").await;
    for (tab, add, field, text) in [
        ("subjects", "Add subject", "Name", "Robin Vale"),
        ("messages", "Write message", "Message", "Thank you for your report."),
    ] {
        browser.run("document.querySelector(`[data-tab=${arguments[0]}]`).click()", vec![json!(tab)]).await;
        browser.click(add).await;
        browser.fill(field, text).await;
        browser.click("Create").await;
        browser.see(text).await;
    }
    browser.run("document.querySelector('[data-tab=investigations]').click()", Vec::new()).await;
    browser.click("Open investigation").await;
    browser.click("Create").await;
    browser.see("Investigation 1").await;
    browser.click("Add note").await;
    browser.fill("Note", "Asked for the stock list.").await;
    browser.click("Create").await;
    browser.see("Asked for the stock list.").await;
    browser.click("Delete").await;
    browser.see("Everybody else keeps it").await;
    browser.click("Delete").await;
    browser.see("is deleted in your world").await;
    browser.see("1,003 cases").await;
    browser.close().await;
}

#[actix_web::test]
async fn an_undo_that_conflicts_is_explained_and_resolved() {
    if !is_there() {
        return;
    }
    let server = Server::start();
    let browser = Browser::open(&server).await;
    browser.sign_in("Ann Archer").await;
    browser.go(CASE).await;
    edit_case(&browser, "First thoughts", "LOW").await;
    reset(&browser, "1 change").await;
    browser.go(CASE).await;
    edit_case(&browser, "Second thoughts", "MEDIUM").await;

    browser.click("Undo").await;
    browser.see("One change stands in the way").await;
    browser.see("changed again after the reset").await;
    browser.click("Leave it as it is").await;
    browser.see("Second thoughts").await;

    browser.click("Undo").await;
    let choose = "const node = [...document.querySelectorAll('.option')].find((each) => each.textContent.startsWith('Bring back')); node.click()";
    browser.see("Bring back what was archived").await;
    browser.run(choose, Vec::new()).await;
    browser.see("First thoughts").await;
    browser.see_no("Second thoughts").await;
    browser.close().await;
}

#[actix_web::test]
async fn an_undo_after_its_window_is_refused_and_explained() {
    if !is_there() {
        return;
    }
    let server = Server::start();
    let browser = Browser::open(&server).await;
    browser.sign_in("Ann Archer").await;
    browser.go(CASE).await;
    edit_case(&browser, "First thoughts", "LOW").await;
    reset(&browser, "1 change").await;
    // The token is of yesterday too: the page gets another one by itself.
    server.advance(Duration::hours(24));
    browser.click("Undo this reset").await;
    browser.see("The undo window has closed").await;
    browser.click("Close").await;
    browser.see("Expired").await;
    browser.close().await;
}

#[actix_web::test]
async fn an_administrator_sees_the_sessions_and_resets_one() {
    if !is_there() {
        return;
    }
    let server = Server::start();
    let (ann, ben) = (Browser::open(&server).await, Browser::open(&server).await);
    ben.sign_in("Ben Baker").await;
    ben.go(CASE).await;
    edit_case(&ben, "Seen by Ben", "CRITICAL").await;
    ann.sign_in("Ann Archer").await;
    ann.click("Administration").await;
    ann.see("Cases by month and severity").await;
    ann.count("svg.chart rect.bar.ink", 1).await;
    ann.count("svg.chart rect.bar.severity-high", 1).await;
    ann.see("1 case").await;
    ann.click("Reset Ben Baker").await;
    ann.see("Reset the world of Ben Baker?").await;
    ann.click("Reset").await;
    ann.see("Ben Baker is back at the base data").await;
    ann.click("Clean up").await;
    ann.see("Removed: 0 expired archives").await;
    ben.reload().await;
    ben.see_no("Seen by Ben").await;
    ben.click("Undo").await;
    ben.see("Seen by Ben").await;
    ben.go("/admin").await;
    ben.see("Only for administrators").await;
    ann.close().await;
    ben.close().await;
}

#[actix_web::test]
async fn side_by_side_what_happens_on_one_side_does_not_happen_on_the_other() {
    if !is_there() {
        return;
    }
    let server = Server::start();
    let mut browser = Browser::open(&server).await;
    browser.sign_in("Ann Archer").await;
    browser.go("/side-by-side").await;
    browser.count(".side-left .rows .row", 3).await;
    browser.count(".side-right .rows .row", 3).await;
    let open = "[...document.querySelectorAll('.side-left .row')].find((row) => row.textContent.includes('CASE-2026-00001')).click()";
    browser.run(open, Vec::new()).await;
    for side in [".side-left", ".side-right"] {
        browser.inside(side, async |side| side.see("Cash is missing.").await).await;
    }
    browser.inside(".side-left", async |left| left.click("Edit").await).await;
    browser.fill("Severity", "CRITICAL").await;
    browser.click("Save").await;
    browser.inside(".side-left", async |left| left.see("Edited").await).await;
    browser.inside(".side-right", async |right| right.see("nothing moved here").await).await;
    browser.inside(".side-right", async |right| right.see_no("Edited").await).await;
    browser.inside(".side-left", async |left| left.click("Reset 1 change").await).await;
    browser.inside(".side-left", async |left| left.see_no("Edited").await).await;
    browser.close().await;
}

#[actix_web::test]
async fn a_server_that_is_away_is_told_and_the_page_recovers() {
    if !is_there() {
        return;
    }
    let mut server = Server::start();
    let browser = Browser::open(&server).await;
    browser.sign_in("Ann Archer").await;
    server.stop().await;
    browser.go("/changes").await;
    browser.see("The server does not answer").await;
    server.start_again();
    browser.see("The server is back").await;
    browser.see("Nothing changed yet").await;

    // What was typed in is not lost: it is saved once the server is there again.
    browser.go(CASE).await;
    browser.click("Edit").await;
    browser.fill("Severity", "CRITICAL").await;
    server.stop().await;
    browser.click("Save").await;
    browser.count("dialog .form-problem:not(:empty)", 1).await;
    server.start_again();
    browser.count(".away[hidden]", 1).await;
    browser.click("Save").await;
    browser.see("Base: High").await;
    browser.close().await;
}

#[actix_web::test]
async fn the_proof_compares_every_table() {
    if !is_there() {
        return;
    }
    let server = Server::start();
    let browser = Browser::open(&server).await;
    browser.sign_in("Ann Archer").await;
    browser.click("Proof").await;
    browser.see("The base data is intact").await;
    browser.see("riu_case_associations").await;
    browser.see("session at work now 1").await;
    browser.close().await;
}

#[actix_web::test]
async fn my_changes_show_what_differs_from_the_base_and_take_back_one_record() {
    if !is_there() {
        return;
    }
    let server = Server::start();
    let browser = Browser::open(&server).await;
    browser.sign_in("Ann Archer").await;
    browser.go(CASE).await;
    edit_case(&browser, "The safe was open all night", "CRITICAL").await;
    browser.see("Base: High").await;
    browser.go("/cases/00000000-0000-7000-8000-000000000202").await;
    browser.see("Two invoices for one order.").await;
    browser.click("Delete").await;
    browser.see("Everybody else keeps it").await;
    browser.click("Delete").await;
    browser.see("1 case deleted in your world").await;

    browser.go("/changes").await;
    browser.count(".changes .card", 2).await;
    browser.see("High→Critical").await;
    let take_back = "document.querySelector('.changes [aria-label^=\"Take back\"]').click()";
    browser.run(take_back, Vec::new()).await;
    browser.see_no("High→Critical").await;
    browser.see("CASE-2026-00002").await;
    let bring_back = "document.querySelector('.changes [aria-label^=\"Bring back\"]').click()";
    browser.run(bring_back, Vec::new()).await;
    browser.see("Nothing changed yet").await;
    browser.go(CASE).await;
    browser.see("Cash is missing.").await;
    browser.see_no("Base: High").await;
    browser.close().await;
}

#[actix_web::test]
async fn a_deleted_case_says_so_at_its_address_and_comes_back_with_all_that_hung_on_it() {
    if !is_there() {
        return;
    }
    let server = Server::start();
    let browser = Browser::open(&server).await;
    browser.sign_in("Ann Archer").await;
    browser.go(CASE).await;
    browser.see("Cash is missing.").await;
    browser.click("Delete").await;
    browser.see("Everybody else keeps it").await;
    browser.click("Delete").await;
    browser.see("1,002 cases").await;
    browser.go(CASE).await;
    browser.see("You deleted").await;
    browser.click("Bring it back").await;
    browser.see("Cash is missing.").await;
    browser.go("/changes").await;
    browser.see("Nothing changed yet").await;
    browser.close().await;
}
