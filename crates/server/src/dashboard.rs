//! The dashboard's files, embedded in the binary. Paths that name no file are pages of the single-page application,
//! which reads the address itself.

use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};

mod files {
    include!(concat!(env!("OUT_DIR"), "/dashboard_files.rs"));
}

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Overheard</title>\
    <h1>Overheard is running</h1>\
    <p>This binary was built without its dashboard. To build it, with Node 20 or newer:</p>\
    <pre>cd web\nnpm ci\nnpm run build\ncd ..\ncargo build</pre>\
    <p>The API works meanwhile; it is described at <a href=\"/openapi.json\">/openapi.json</a>.</p></html>\n";

/// Answers with a file of the dashboard, or with its page.
pub(crate) async fn serve(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    if let Some(bytes) = find(path) {
        return file(path, bytes);
    }
    if path.starts_with("assets/") || path.starts_with("api/") {
        return (StatusCode::NOT_FOUND, "there is nothing here\n").into_response();
    }
    match find("index.html") {
        Some(bytes) => file("index.html", bytes),
        None => Html(NOT_BUILT).into_response(),
    }
}

fn find(path: &str) -> Option<&'static [u8]> {
    files::FILES.iter().find(|(name, _)| *name == path).map(|(_, bytes)| *bytes)
}

fn file(path: &str, bytes: &'static [u8]) -> Response {
    // Names under assets/ carry a hash of the content.
    let keep = match path.starts_with("assets/") {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    ([(header::CONTENT_TYPE, content_type(path)), (header::CACHE_CONTROL, keep)], bytes).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "webmanifest" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_page_is_the_application_and_missing_assets_are_missing() {
        let page = serve(Uri::from_static("/posts?topic=a")).await;
        assert_eq!(page.status(), StatusCode::OK);
        assert!(page.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
        assert_eq!(serve(Uri::from_static("/assets/none.js")).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(serve(Uri::from_static("/api/none")).await.status(), StatusCode::NOT_FOUND);
    }
}
