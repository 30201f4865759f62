//! The endpoints under `/api` and `/v1`, one file a subject, and the OpenAPI document that describes them.

mod alerts;
mod anomalies;
mod audit;
mod breakdown;
mod categories;
mod examples;
mod export;
mod extract;
mod forget;
mod imports;
mod labels;
mod live;
mod map;
mod overview;
mod post;
mod posts;
mod provider;
mod push;
mod rules;
mod session;
mod sources;
mod sql;
mod system;
mod topics;
mod users;

pub(crate) use extract::{Admin, Analyst, Anyone, Body, Filtered, LARGE, Params, QUERY, Viewer, client_address};
pub(crate) use live::LiveEvent;
pub(crate) use provider::CALLBACK;

use crate::app::App;
use crate::error::Problem;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use examples::Examples;
use std::sync::Arc;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ComponentsBuilder, Content, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{OpenApi as _, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Overheard",
        description = "Public posts with sentiment, entities, topics and places; counts and series; anomalies with \
                       their drivers; alerts. Authentication, filters, pagination and errors: docs/api.md.",
        license(name = "Apache-2.0")
    ),
    components(schemas(Problem, LiveEvent))
)]
struct Document;

fn open_api_router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(session::sign_in, session::who_am_i, session::sign_out))
        .routes(routes!(session::sign_in_by_link))
        .routes(routes!(session::change_password))
        .routes(routes!(provider::ways))
        .routes(routes!(provider::begin))
        .routes(routes!(provider::finish))
        .routes(routes!(session::sessions))
        .routes(routes!(session::end_session))
        .routes(routes!(audit::audit))
        .routes(routes!(users::list, users::add))
        .routes(routes!(users::change, users::remove))
        .routes(routes!(users::tokens, users::issue_token))
        .routes(routes!(users::revoke_token))
        .routes(routes!(overview::overview))
        .routes(routes!(overview::series))
        .routes(routes!(breakdown::breakdown))
        .routes(routes!(posts::posts))
        .routes(routes!(posts::post))
        .routes(routes!(export::export))
        .routes(routes!(labels::list, labels::correct))
        .routes(routes!(forget::forget))
        .routes(routes!(map::map))
        .routes(routes!(anomalies::anomalies))
        .routes(routes!(alerts::alerts))
        .routes(routes!(alerts::acknowledge))
        .routes(routes!(alerts::silence))
        .routes(routes!(rules::list))
        .routes(routes!(rules::put, rules::remove))
        .routes(routes!(rules::back_test))
        .routes(routes!(topics::list))
        .routes(routes!(topics::put, topics::remove))
        .routes(routes!(topics::check))
        .routes(routes!(categories::get, categories::put))
        .routes(routes!(sql::run))
        .routes(routes!(sql::tables))
        .routes(routes!(sql::saved))
        .routes(routes!(sql::save, sql::forget))
        .routes(routes!(system::system))
        .routes(routes!(sources::list))
        .routes(routes!(sources::backfills))
        .routes(routes!(sources::kinds))
        .routes(routes!(sources::added))
        .routes(routes!(sources::put, sources::remove))
        .routes(routes!(sources::try_out))
        .routes(routes!(imports::list, imports::add))
        .routes(routes!(system::dead_letters, system::drop_letter))
        .routes(routes!(system::replay))
        .routes(routes!(live::live))
        .routes(routes!(push::push))
        .routes(routes!(push::call))
}

/// The routes with their document. Bodies are limited where they are read ([`Body`], [`push`]).
pub(crate) fn parts() -> (Router<Arc<App>>, OpenApi) {
    let (router, mut document) = open_api_router().split_for_parts();
    complete(&mut document);
    (router.layer(DefaultBodyLimit::disable()), document)
}

/// The OpenAPI document of the API.
pub fn document() -> OpenApi {
    parts().1
}

/// `put_api_rules_name` for `PUT /api/rules/{name}`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    [method].into_iter().chain(words).collect::<Vec<_>>().join("_")
}

/// Adds what all operations share: authentication, errors and operation ids; and examples.
fn complete(document: &mut OpenApi) {
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(crate::auth::SESSION_COOKIE)));
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components = document.components.get_or_insert_with(|| ComponentsBuilder::new().build());
    components.add_security_scheme("session", cookie);
    components.add_security_scheme("token", bearer);
    let by = |scheme: &str| SecurityRequirement::new(scheme, [""; 0]);
    document.security = Some(vec![by("token"), by("session")]);
    let mut examples = Examples::read();
    let refusal = || {
        ResponseBuilder::new()
            .description(
                "Error: 400 with the invalid field, 401 not authenticated, 403 role too low, 413, 429, 500, 503",
            )
            .content("application/json", Content::new(Some(Ref::from_schema_name(Problem::name()))))
            .build()
    };
    for (path, item) in &mut document.paths.paths {
        let methods = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in methods {
            let Some(operation) = operation else { continue };
            // Handlers of different subjects share short names; generated clients need unique ones.
            operation.operation_id = Some(operation_id(method, path));
            operation.responses.responses.insert("default".into(), refusal().into());
            for response in operation.responses.responses.values_mut() {
                match response {
                    RefOr::T(response) if response.description.is_empty() => response.description = "Success".into(),
                    _ => {}
                }
            }
            match (method, path.as_str()) {
                ("post", "/api/session") => operation.security = Some(Vec::new()),
                ("post", "/v1/posts") => operation.security = Some(vec![by("token")]),
                _ => {}
            }
            examples.add_to(operation);
        }
    }
}
