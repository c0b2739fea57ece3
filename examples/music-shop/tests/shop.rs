//! Two visitors of the music shop, each with a shop of their own.

use actix_web::App;
use actix_web::test::{TestRequest, call_and_read_body_json, call_service, init_service};
use serde_json::{Value, json};

#[actix_web::test]
async fn each_visitor_has_a_shop_of_their_own_and_can_reset_it_and_undo() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("shop.db");
    music_shop::create(&file).expect("created");
    let (engine, pool) = music_shop::open(&format!("sqlite://{}", file.display())).expect("opened");
    let app = init_service(App::new().configure(music_shop::configure(engine, pool))).await;
    let request = |method: TestRequest, user: &str| method.insert_header(("x-user", user.to_owned()));
    let artists = async |user: &str| -> usize {
        let get = request(TestRequest::get().uri("/artists"), user).to_request();
        let found: Vec<Value> = call_and_read_body_json(&app, get).await;
        found.len()
    };
    assert_eq!((artists("ann").await, artists("ben").await), (275, 275));
    let add = request(TestRequest::post().uri("/artists"), "ann").set_json(json!({ "name": "New" }));
    let added: Value = call_and_read_body_json(&app, add.to_request()).await;
    assert_eq!(added, json!({ "id": 276, "name": "New" }));
    assert_eq!((artists("ann").await, artists("ben").await), (276, 275));
    // Albums refer to it: refused as on the table itself.
    let refused = request(TestRequest::delete().uri("/artists/1"), "ann").to_request();
    assert_eq!(call_service(&app, refused).await.status().as_u16(), 422);
    let session: Value =
        call_and_read_body_json(&app, request(TestRequest::get().uri("/demo/session"), "ann").to_request())
            .await;
    assert_eq!((&session["changes"]["Artist"], &session["totalChanges"]), (&json!(1), &json!(1)));
    let confirmed = json!({ "confirmationToken": "CONFIRM_RESET" });
    let reset = request(TestRequest::post().uri("/demo/reset"), "ann").set_json(confirmed).to_request();
    let reset: Value = call_and_read_body_json(&app, reset).await;
    assert_eq!(reset["verification"]["baseDataIntact"], true);
    assert_eq!(artists("ann").await, 275);
    let undo = request(TestRequest::post().uri("/demo/undo"), "ann").set_json(json!({})).to_request();
    let _: Value = call_and_read_body_json(&app, undo).await;
    assert_eq!(artists("ann").await, 276);
}
