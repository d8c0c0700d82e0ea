use {
    axum::{Router, routing::get},
    axum_health::prelude::*,
    sqlx::PgPool,
    std::env,
    tokio::net::TcpListener,
};

#[tokio::main]
async fn main() {
    let pool = PgPool::connect(&env::var("DATABASE_URL").expect("DATABASE_URL"))
        .await
        .unwrap();

    let router = Router::new()
        .route("/hello", get(|| async { "hello" }))
        .route("/health", get(health_check))
        .layer(Health::builder().with_indicator(pool.clone()).build())
        .with_state(pool);

    let port = env::var("PORT").expect("PORT");
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();

    axum::serve(listener, router.into_make_service())
        .await
        .unwrap()
}
