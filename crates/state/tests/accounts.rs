//! Users, sessions and tokens: their stored form, what is deleted when it is over, and concurrent changes.

use chrono::Duration;
use domain::{Identity, StateStore, Timestamp};
use serde_json::json;
use state::{AccountError, Accounts, AuditEntry, AuditLog, MemoryState, Role, TokenOrder, TokenScope, digest};
use std::sync::Arc;

fn noon() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn documents_keep_their_form() {
    let store = Arc::new(MemoryState::default());
    let user =
        json!({"name": "ada", "role": "admin", "password_hash": "$argon2id$x", "created_at": "2026-01-02T03:04:05Z"});
    store.put("user", "ada", user).await.unwrap();
    let session = json!({"user": "ada", "created_at": "2026-03-02T00:00:00Z", "expires_at": "2026-03-03T00:00:00Z"});
    store.put("session", &digest("s"), session).await.unwrap();
    let token = json!({
        "id": "1", "name": "ci", "scope": {"for": "push", "source": "shop"}, "created_by": "ada",
        "created_at": "2026-01-02T03:04:05Z"
    });
    store.put("token", &digest("t"), token).await.unwrap();
    let accounts = Accounts::new(store.clone());
    assert_eq!(accounts.account("ada").await.unwrap().unwrap().role, Role::Admin);
    assert_eq!(accounts.seen_session(&digest("s"), noon()).await.unwrap().unwrap().user, "ada");
    let (token, owner) = accounts.token(&digest("t"), noon()).await.unwrap().unwrap();
    assert_eq!((token.scope, owner.unwrap().name.as_str()), (TokenScope::Push { source: "shop".into() }, "ada"));
    let kept = store.get("token", &digest("t")).await.unwrap().unwrap();
    assert_eq!(kept["used_at"], json!("2026-03-02T12:00:00Z"));
    let entry = AuditEntry {
        at: noon(),
        who: Some("ada".into()),
        address: None,
        action: "sign in".into(),
        subject: Some("x".repeat(300)),
        outcome: "done".into(),
    };
    AuditLog::new(store.clone()).add(&entry).await.unwrap();
    let (key, kept) = store.list("audit-20260302").await.unwrap().remove(0);
    assert!(key.starts_with("00001772452800000000-"), "{key}");
    assert_eq!(kept["subject"], json!("x".repeat(200)));
}

#[tokio::test]
async fn sessions_and_tokens_that_are_over_are_deleted_at_a_sign_in() {
    let store = Arc::new(MemoryState::default());
    let accounts = Accounts::new(store.clone());
    let password = accounts.add_first_admin(None, false, noon()).await.unwrap().unwrap();
    let order = |days| TokenOrder {
        name: "ci".into(),
        scope: TokenScope::Api { role: Role::Viewer },
        expires_at: Some(noon() + Duration::days(days)),
        makes_source: false,
    };
    accounts.issue(order(1), "admin", noon()).await.unwrap();
    accounts.issue(order(20), "admin", noon()).await.unwrap();
    let ada = accounts.verified("admin", password, false).await.unwrap().unwrap();
    accounts.open(&ada, "::1", "a browser", noon(), Duration::days(1)).await.unwrap();
    let later = noon() + Duration::days(32);
    accounts.open(&ada, "::1", "a browser", later, Duration::days(1)).await.unwrap();
    assert_eq!(store.list("session").await.unwrap().len(), 1);
    assert_eq!(accounts.tokens().await.unwrap().len(), 1, "one that expired lately is still listed");
}

#[tokio::test]
async fn names_are_fit_for_addresses_and_terminals() {
    let accounts = Accounts::new(Arc::new(MemoryState::default()));
    accounts.add_first_admin(None, false, noon()).await.unwrap();
    for name in [".", "..", "a/b", "a\u{1b}[2Jb", "a\nb", ""] {
        let added = accounts.add(name, Role::Viewer, "twelve chars".into(), false, noon()).await;
        assert!(matches!(added, Err(AccountError::Invalid(_))), "{name:?}");
    }
    let order = |name: &str, source: &str| {
        let scope = TokenScope::Push { source: source.into() };
        TokenOrder { name: name.into(), scope, expires_at: None, makes_source: true }
    };
    for (name, source) in [("a\u{1b}[2Jb", "shop"), ("", "shop"), ("ci", "sh\u{7}op"), ("ci", " ")] {
        let issued = accounts.issue(order(name, source), "admin", noon()).await;
        assert!(matches!(issued, Err(AccountError::Invalid(_))), "{name:?} {source:?}");
    }
    assert!(accounts.issue(order("ci / nightly", "push:shop"), "admin", noon()).await.is_ok());
}

#[tokio::test]
async fn a_user_who_was_changed_meanwhile_opens_no_session_and_the_last_admin_stays() {
    let accounts = Accounts::new(Arc::new(MemoryState::default()));
    let password = accounts.add_first_admin(None, false, noon()).await.unwrap().unwrap();
    let admin = accounts.verified("admin", password, false).await.unwrap().unwrap();
    assert!(matches!(accounts.remove("admin").await, Err(AccountError::Conflict(_))));
    accounts.add_with_new_password("bob", Role::Admin, noon()).await.unwrap().unwrap();
    assert!(accounts.change_role("admin", Role::Viewer).await.unwrap());
    let opened = accounts.open(&admin, "::1", "", noon(), Duration::days(1)).await;
    assert!(matches!(opened, Err(AccountError::Changed(_))));
    assert!(matches!(
        accounts.add("a b", Role::Viewer, "twelve chars".into(), false, noon()).await,
        Err(AccountError::Invalid(_))
    ));
}

fn ada_at(provider: &str) -> Identity {
    Identity { subject: format!("https://{provider} 42"), name: "ada@example.org".into(), groups: Vec::new() }
}

#[tokio::test]
async fn a_provider_adds_a_user_once_and_changes_the_role() {
    let accounts = Accounts::new(Arc::new(MemoryState::default()));
    let first = accounts.signed_on(&ada_at("id.example.org"), Role::Viewer, noon()).await.unwrap();
    let again = accounts.signed_on(&ada_at("id.example.org"), Role::Analyst, noon()).await.unwrap();
    assert_eq!((first.value.role, again.value.role), (Role::Viewer, Role::Analyst));
    assert_eq!(accounts.accounts().await.unwrap().len(), 1);
    accounts.open(&again, "::1", "", noon(), Duration::days(1)).await.unwrap();
    // The only admin stays one.
    accounts.change_role("ada@example.org", Role::Admin).await.unwrap();
    let kept = accounts.signed_on(&ada_at("id.example.org"), Role::Viewer, noon()).await.unwrap();
    assert_eq!(kept.value.role, Role::Admin);
}

#[tokio::test]
async fn a_provider_takes_no_other_users_name_and_its_users_have_no_password() {
    let accounts = Accounts::new(Arc::new(MemoryState::default()));
    accounts.add("ada@example.org", Role::Admin, "correct horse battery".into(), false, noon()).await.unwrap();
    let taken = accounts.signed_on(&ada_at("id.example.org"), Role::Viewer, noon()).await;
    assert!(matches!(taken, Err(AccountError::Conflict(_))));
    accounts.add("root", Role::Admin, "correct horse battery".into(), false, noon()).await.unwrap();
    accounts.remove("ada@example.org").await.unwrap();
    accounts.signed_on(&ada_at("id.example.org"), Role::Viewer, noon()).await.unwrap();
    let other = accounts.signed_on(&ada_at("evil.example.org"), Role::Admin, noon()).await;
    assert!(matches!(other, Err(AccountError::Conflict(_))), "the same name at another provider");
    assert!(accounts.verified("ada@example.org", String::new(), true).await.unwrap().is_none());
    let reset = accounts.reset_password("ada@example.org").await;
    assert!(matches!(reset, Err(AccountError::Conflict(_))));
}
