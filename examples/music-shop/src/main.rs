//! Serves the music shop on <http://127.0.0.1:8090>: `cargo run -p music-shop`.

use actix_web::{App, HttpServer};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init();
    let file = std::env::temp_dir().join("music-shop.db");
    if !file.exists() {
        music_shop::create(&file)?;
    }
    let (engine, pool) = music_shop::open(&format!("sqlite://{}", file.display()))?;
    let app = move || App::new().configure(music_shop::configure(engine.clone(), pool.clone()));
    HttpServer::new(app).bind("127.0.0.1:8090")?.run().await?;
    Ok(())
}
