//! The audit log, for admins.

use super::{Admin, Params};
use crate::app::App;
use crate::error::Error;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use state::AuditPage;
use std::sync::Arc;
use utoipa::IntoParams;

/// Entries of a page, and the most.
const LIMIT: usize = 50;
const LIMIT_MAX: usize = 500;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// The `next` of the page before.
    before: Option<String>,
    /// 1 to 500; 50 when left out.
    limit: Option<usize>,
}

/// Audit log, newest first.
#[utoipa::path(get, path = "/api/audit", tag = "users", params(Page), responses((status = 200, body = AuditPage)))]
pub(crate) async fn audit(
    State(app): State<Arc<App>>,
    _: Admin,
    Params(page): Params<Page>,
) -> Result<Json<AuditPage>, Error> {
    let limit = page.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Error::bad_field("limit", format!("A page has 1 to {LIMIT_MAX} entries.")));
    }
    let (days, now) = (app.config.audit_days, app.clock.now());
    let page = app.audit.page(page.before.as_deref(), limit, days, now).await;
    page.map(Json).map_err(Error::of_port)
}
