//! Sign-in with an identity provider: the browser is sent to the provider's page, comes back with a code, and gets a session
//! as after a sign-in with a password.

use super::Params;
use super::session::{open_session, set_cookie};
use crate::app::App;
use crate::audit::Trail;
use crate::auth::{ATTEMPT_COOKIE, ClientAddress, cookie};
use crate::error::Error;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::{Extension, Json};
use domain::{ErrorKind, IdentityProvider, SignInAttempt};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use state::{AccountError, new_secret};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// How long a person may take on the provider's page.
const ATTEMPT_AGE_MAX_S: i64 = 600;
pub(crate) const CALLBACK: &str = "/api/session/provider/callback";

/// How people can sign in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignInWays {
    /// The identity provider, as its button is called; null: passwords only.
    provider: Option<String>,
}

/// How people can sign in. Open to everyone.
#[utoipa::path(get, path = "/api/session/ways", tag = "session", responses((status = 200, body = SignInWays)))]
pub(crate) async fn ways(State(app): State<Arc<App>>) -> Json<SignInWays> {
    Json(SignInWays { provider: app.ports.identity.as_ref().map(|provider| provider.name().to_owned()) })
}

/// Begins a sign-in: sends the browser to the provider's page.
#[utoipa::path(get, path = "/api/session/provider", tag = "session", responses((status = 303)))]
pub(crate) async fn begin(State(app): State<Arc<App>>) -> Result<Response, Error> {
    let provider = provider_of(&app)?;
    let _permit = app.sign_ons.try_acquire().map_err(|_| Error::too_many("Too many sign-ins at this moment.", 1))?;
    let secret = new_secret();
    let page = match provider.page(&attempt(&app, &secret)).await {
        Ok(page) => page,
        Err(error) => {
            tracing::warn!(%error, "the identity provider's page can't be opened");
            return Ok(see("/?sign-in=unavailable"));
        }
    };
    // Lax: the provider's site leads back here.
    let cookie = set_cookie(&app, ATTEMPT_COOKIE, &secret, ATTEMPT_AGE_MAX_S, "Lax")?;
    let location = HeaderValue::from_str(&page).map_err(Error::internal)?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location), (header::SET_COOKIE, cookie)]).into_response())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Answer {
    code: Option<String>,
    state: Option<String>,
    /// Why the provider refuses.
    error: Option<String>,
}

/// Ends a sign-in: opens a session for the person whom the provider names, and shows the dashboard, or why not.
#[utoipa::path(get, path = "/api/session/provider/callback", tag = "session", params(Answer), responses((status = 303)))]
pub(crate) async fn finish(
    State(app): State<Arc<App>>,
    Extension(trail): Extension<Trail>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    Params(answer): Params<Answer>,
) -> Result<Response, Error> {
    let provider = provider_of(&app)?;
    let sent = cookie(&headers, &app.config.cookie(ATTEMPT_COOKIE));
    let attempt =
        sent.map(|secret| attempt(&app, secret)).filter(|attempt| answer.state.as_ref() == Some(&attempt.state));
    let (Some(attempt), Some(code)) = (attempt, answer.code) else {
        tracing::warn!(%address, error = answer.error, "a sign-in with the identity provider was refused there, or not begun here");
        return Ok(see("/?sign-in=refused"));
    };
    let _permit = app.sign_ons.try_acquire().map_err(|_| Error::too_many("Too many sign-ins at this moment.", 1))?;
    let refusal = |reason: &str, why: &dyn std::fmt::Display| {
        tracing::warn!(%address, %why, "sign-in with the identity provider failed");
        Ok(see(&format!("/?sign-in={reason}")))
    };
    let identity = match provider.identity(&code, &attempt).await {
        Ok(identity) => identity,
        Err(error) if error.kind() == ErrorKind::Retry => return refusal("unavailable", &error),
        Err(error) => return refusal("refused", &error),
    };
    let Some(role) = app.config.groups.role_of(&identity) else {
        return refusal("no-role", &format!("{} is in none of the groups of server.openid", identity.name));
    };
    let account = match app.accounts.signed_on(&identity, role, app.clock.now()).await {
        Ok(account) => account,
        Err(error @ (AccountError::Conflict(_) | AccountError::Invalid(_))) => return refusal("name", &error),
        Err(error) => return Err(error.into()),
    };
    trail.is_of(&account.value.name);
    let mut cookies = open_session(&app, &account, address, &headers, true).await?;
    cookies.push((header::SET_COOKIE, set_cookie(&app, ATTEMPT_COOKIE, "", 0, "Lax")?));
    Ok((AppendHeaders(cookies), see("/")).into_response())
}

fn provider_of(app: &App) -> Result<&Arc<dyn IdentityProvider>, Error> {
    app.ports.identity.as_ref().ok_or_else(|| Error::not_found("No identity provider is configured (server.openid)."))
}

/// The attempt that a browser's secret stands for: its texts follow from the secret, so that nothing is kept here.
fn attempt(app: &App, secret: &str) -> SignInAttempt {
    let text = |purpose: &str| {
        let digest = Sha256::digest(format!("{purpose} {secret}"));
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let callback = app.config.address() + CALLBACK;
    SignInAttempt { state: text("state"), nonce: text("nonce"), verifier: text("verifier"), callback }
}

fn see(address: &str) -> Response {
    let location: (HeaderName, String) = (header::LOCATION, address.to_owned());
    (StatusCode::SEE_OTHER, [location]).into_response()
}
