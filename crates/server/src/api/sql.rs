//! A person's own SQL over the tables of the lake, read-only, within limits; and the questions he saves.

use super::{Analyst, Body, QUERY, Viewer};
use crate::answers;
use crate::app::App;
use crate::error::Error;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::analytics::TableColumns;
use domain::{ErrorKind, QueryLimits};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use state::{SavedQueries, SavedQuery};
use std::sync::Arc;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Statement {
    sql: String,
    /// Rows of the answer; at most (and when left out) the server's limit.
    rows_max: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ColumnView {
    name: String,
    /// SQL name of the type.
    data_type: String,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the answer for the OpenAPI document; `Written` is what is sent")]
pub(crate) struct Answer {
    columns: Vec<ColumnView>,
    #[schema(value_type = Vec<Vec<Value>>)]
    rows: Vec<Vec<serde_json::Value>>,
    /// More rows were there than the limit let through.
    truncated: bool,
    elapsed_ms: u64,
}

/// [`Answer`] with rows that are JSON already: they are many, and nothing here looks into them.
#[derive(Serialize)]
struct Written {
    columns: Vec<ColumnView>,
    rows: Box<RawValue>,
    truncated: bool,
    elapsed_ms: u64,
}

fn columns(columns: &[domain::Column]) -> Vec<ColumnView> {
    let view = |column: &domain::Column| ColumnView { name: column.name.clone(), data_type: column.data_type.clone() };
    columns.iter().map(view).collect()
}

/// Runs one read-only SQL statement.
#[utoipa::path(post, path = "/api/sql", tag = "sql", request_body = Statement,
    responses((status = 200, body = Answer)))]
pub(crate) async fn run(
    State(app): State<Arc<App>>,
    _: Analyst,
    Body(statement): Body<Statement, QUERY>,
) -> Result<Response, Error> {
    SavedQuery::check_sql(&statement.sql)?;
    let rows_max = statement.rows_max.unwrap_or(app.config.sql_rows_max);
    if !(1..=app.config.sql_rows_max).contains(&rows_max) {
        return Err(Error::bad_field(
            "rows_max",
            format!("rows_max must be between 1 and {}.", app.config.sql_rows_max),
        ));
    }
    let limits = QueryLimits { rows_max, timeout: app.config.sql_timeout };
    let started = app.clock.now();
    let answer = app.ports.sql.sql(&statement.sql, limits).await.map_err(|error| match error.kind() {
        ErrorKind::Reject | ErrorKind::TooCostly => Error::bad_field("sql", error.to_string()),
        ErrorKind::Retry => Error::unavailable("SQL can't be answered at this moment. Try again shortly.", error),
        ErrorKind::Stop => Error::internal(error),
    })?;
    let elapsed_ms = u64::try_from((app.clock.now() - started).num_milliseconds()).unwrap_or(0);
    let rows = String::from_utf8(answer.rows).map_err(Error::internal)?;
    let rows = RawValue::from_string(rows).map_err(Error::internal)?;
    let written = Written { columns: columns(&answer.columns), rows, truncated: answer.truncated, elapsed_ms };
    Ok(Json(written).into_response())
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TableView {
    name: String,
    columns: Vec<ColumnView>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Tables {
    tables: Vec<TableView>,
    rows_max: usize,
    timeout_s: u64,
}

/// Tables with their columns, and the limits of a query.
#[utoipa::path(get, path = "/api/sql/tables", tag = "sql", responses((status = 200, body = Tables)))]
pub(crate) async fn tables(State(app): State<Arc<App>>, _: Viewer) -> Result<Json<Tables>, Error> {
    let found = app.answers.ask(&answers::Tables, app.clock.now()).await?;
    let view = |table: &TableColumns| TableView { name: table.name.clone(), columns: columns(&table.columns) };
    let tables = found.iter().map(view).collect();
    let (rows_max, timeout_s) = (app.config.sql_rows_max, app.config.sql_timeout.as_secs());
    Ok(Json(Tables { tables, rows_max, timeout_s }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewQuery {
    sql: String,
}

/// Saved SQL queries.
#[utoipa::path(get, path = "/api/queries", tag = "sql", responses((status = 200, body = Vec<SavedQuery>)))]
pub(crate) async fn saved(State(app): State<Arc<App>>, _: Viewer) -> Result<Json<Vec<SavedQuery>>, Error> {
    SavedQueries::new(app.state.as_ref()).list().await.map(Json).map_err(Error::of_port)
}

/// Saves a SQL query.
#[utoipa::path(put, path = "/api/queries/{name}", tag = "sql", params(("name" = String, Path)),
    request_body = NewQuery, responses((status = 204)))]
pub(crate) async fn save(
    State(app): State<Arc<App>>,
    Analyst(who): Analyst,
    Path(name): Path<String>,
    Body(body): Body<NewQuery, QUERY>,
) -> Result<StatusCode, Error> {
    let query = SavedQuery { name, sql: body.sql, saved_by: who.name, saved_at: app.clock.now() };
    SavedQueries::new(app.state.as_ref()).save(query).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a saved SQL query.
#[utoipa::path(delete, path = "/api/queries/{name}", tag = "sql", params(("name" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn forget(
    State(app): State<Arc<App>>,
    _: Analyst,
    Path(name): Path<String>,
) -> Result<StatusCode, Error> {
    match SavedQueries::new(app.state.as_ref()).delete(&name).await.map_err(Error::of_port)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Error::not_found("There is no saved query with this name.")),
    }
}
