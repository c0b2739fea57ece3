//! The pictures in `docs/screenshots`.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::browser::{Browser, is_there};
use crate::server::Server;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/screenshots").join(format!("{name}.png"))
}

/// Opens the case of the list that stands at this place.
async fn open_case(browser: &Browser, place: usize) {
    browser.count("main .rows .row", place + 1).await;
    browser
        .run("document.querySelectorAll('main .rows .row')[arguments[0]].click()", vec![json!(place)])
        .await;
    browser.see("All cases").await;
}

async fn edit(browser: &Browser, fields: &[(&str, &str)]) {
    browser.click("Edit").await;
    for (name, value) in fields {
        browser.fill(name, value).await;
    }
    browser.click("Save").await;
    browser.see("Edited").await;
}

/// Lets pictures be without what only passes by.
async fn settle(browser: &Browser) {
    browser
        .run("document.getElementById('toasts').replaceChildren(); document.activeElement.blur()", Vec::new())
        .await;
}

async fn shoot(browser: &Browser, name: &str) {
    settle(browser).await;
    browser.screenshot(&file(name)).await;
}

#[actix_web::test]
#[ignore = "writes docs/screenshots: cargo xtask screenshots"]
async fn take_the_screenshots() {
    if !is_there() {
        return;
    }
    let server = Server::with_dataset();
    std::fs::create_dir_all(file("x").parent().unwrap()).unwrap();
    let mut browser = Browser::sized(&server, (1440, 1000)).await;
    browser.theme("light").await;
    browser.see("Dana Whitlock").await;
    shoot(&browser, "sign-in").await;

    browser.sign_in("Dana Whitlock").await;
    open_case(&browser, 4).await;
    edit(&browser, &[("Severity", "CRITICAL"), ("Status", "OPEN"), ("Tags", "priority, board")]).await;
    browser.count(".facts ins", 2).await;
    shoot(&browser, "case").await;
    browser.go("/cases").await;
    open_case(&browser, 1).await;
    browser.click("Delete").await;
    browser.see("Everybody else keeps it").await;
    browser.click("Delete").await;
    browser.see("is deleted in your world").await;
    browser.click("New case").await;
    browser.fill("Summary", "Missing stock at the night depot").await;
    browser.fill("Details", "A caller reports that pallets leave the depot at night without papers.").await;
    browser.fill("Severity", "HIGH").await;
    browser.click("Create").await;
    browser.see("Created").await;
    browser.go("/cases").await;
    browser.count("main .rows .row.mine", 2).await;
    shoot(&browser, "cases").await;
    browser.theme("dark").await;
    shoot(&browser, "cases-dark").await;
    browser.theme("light").await;

    browser.go("/changes").await;
    browser.count(".changes .card", 3).await;
    shoot(&browser, "changes").await;
    browser.go("/reset").await;
    browser.count(".preview-list li", 3).await;
    shoot(&browser, "reset").await;
    browser.click("Reset my world").await;
    browser.run("document.querySelector('.question .button-danger-solid').click()", Vec::new()).await;
    browser.see("Your world is the base data again.").await;
    shoot(&browser, "reset-done").await;
    browser.click("Undo this reset").await;
    browser.see("would go").await;
    browser.go("/proof").await;
    browser.see("The base data is intact").await;
    shoot(&browser, "proof").await;
    browser.go("/admin").await;
    browser.see("Changes per session").await;
    shoot(&browser, "administration").await;

    browser.go("/side-by-side").await;
    browser.count(".side-right .rows .row", 5).await;
    browser.run("document.querySelectorAll('.side-left .rows .row')[4].click()", Vec::new()).await;
    for side in [".side-left", ".side-right"] {
        browser.inside(side, async |side| side.see("All cases").await).await;
    }
    browser.inside(".side-left", async |left| left.click("Edit").await).await;
    browser.fill("Outcome", "INCONCLUSIVE").await;
    browser.click("Save").await;
    browser.inside(".side-right", async |right| right.see("nothing moved here").await).await;
    shoot(&browser, "side-by-side").await;
    browser.close().await;
}
